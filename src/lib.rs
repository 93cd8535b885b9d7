//! AWS X-Ray for Tower and Axum: a segment for every request, a subsegment for every call, and the header that connects
//! them.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_xray::{Recorder, XRayLayer};
//!
//! # fn main() -> Result<(), tower_xray::recorder::BuildError> {
//! let recorder = Recorder::from_env()?;
//! let app: Router = Router::new()
//!     .route("/orders/{id}", get(async || "an order"))
//!     .layer(XRayLayer::new("orders", recorder));
//! # Ok(())
//! # }
//! ```
//!
//! The modules are the stages of a request, in the order in which it passes them:
//!
//! | stage | module |
//! |---|---|
//! | a request comes in | [`server`]; [`header`], [`id`] and [`w3c`] for what its headers say |
//! | is it recorded? | [`sampling`] |
//! | a segment begins | [`recorder`], [`entity`] |
//! | work is done as part of it | [`context`], [`future`] |
//! | other services are called | [`client`]; [`call`] for clients of your own; [`message`] for queues and events |
//! | the segment closes | [`document`] |
//! | and is sent | [`emitter`] |
//!
//! The [`guide`] has pages for reading. With feature `tracing-subscriber`, the module `subscriber` turns the spans that a
//! service has already into subsegments. The crate `xray-local` is a daemon for laptops: it receives traces, and draws
//! them.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
pub mod call;
mod classify;
pub mod client;
mod clock;
pub mod context;
pub mod document;
pub mod emitter;
pub mod entity;
mod environment;
pub mod future;
mod grpc;
pub mod guide;
pub mod header;
pub mod id;
pub mod message;
pub mod recorder;
mod response_head;
pub mod sampling;
pub mod server;
#[cfg(feature = "tracing-subscriber")]
pub mod subscriber;
mod sync;
mod transport;
pub mod w3c;

pub use self::{
    client::{
        XRayClientLayer,
        sql::{Sql, capture_sql},
    },
    context::current,
    entity::{Entity, Segment, Subsegment},
    future::{FutureExt, capture},
    header::TraceHeader,
    id::{SegmentId, TraceId},
    recorder::{Recorder, RecorderBuilder},
    server::XRayLayer,
};
