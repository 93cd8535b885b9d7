//! Entities: a segment or a subsegment, while it is open.
//!
//! In: what a program wants to say about its work. Out: a closed part of the trace, handed to the recorder's emitter.
//!
//! An [`Entity`] is a handle to describe the work; clone it freely, it keeps nothing open. A [`Segment`] or
//! [`Subsegment`] owns the lifetime: it closes once, by `close` or when it is dropped. Where nothing is recorded, the
//! same calls do nothing.
//!
//! ```
//! # use tower_xray::{Recorder, emitter::InMemoryEmitter, sampling::SampleAll};
//! # let emitter = InMemoryEmitter::new();
//! # let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll).build()?;
//! let segment = recorder.begin_segment("nightly-report");
//! let query = segment.begin_subsegment("query");
//! query.add_annotation("rows", 5_000);
//! query.close();
//! segment.add_metadata("filters", ["paid", "shipped"]);
//! segment.close();
//! # assert_eq!(emitter.len(), 1);
//! # Ok::<(), tower_xray::recorder::BuildError>(())
//! ```
//!
//! # When documents leave
//!
//! A segment leaves when it closes, with the subsegments that have closed. One that is still open then leaves by
//! itself when it closes; nothing waits for it. Subsegments that pile up in a long-lived segment leave before it, once
//! they would fill a document. [`Entity::send_in_progress`] tells of a segment while it is open.

mod close;
pub(crate) mod current;
mod guard;
mod handle;
mod metadata;
#[cfg(all(test, loom))]
mod models;
mod recording;
mod response;
mod work;

pub use self::{
    guard::{Segment, Subsegment},
    handle::Entity,
};
pub(crate) use self::{
    recording::Beginning,
    work::{Running, Work},
};
