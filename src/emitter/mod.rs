//! Emission: what happens to closed segments.
//!
//! In: [`SegmentDocument`](crate::document::SegmentDocument)s. Out: datagrams to whatever listens for X-Ray documents ([`UdpEmitter`], the default), a
//! list in memory for tests ([`InMemoryEmitter`]), or lines of JSON ([`LogEmitter`]).
//!
//! ```
//! use std::time::Duration;
//! use tower_xray::{Recorder, emitter::{DaemonAddress, UdpEmitter}};
//!
//! let address: DaemonAddress = "127.0.0.1:2000".parse()?;
//! let recorder = Recorder::builder().emitter(UdpEmitter::new(address)?).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Customization
//!
//! Implement [`Emitter`] to send documents elsewhere: it must not wait.
//! [`SegmentDocument::split`](crate::document::SegmentDocument::split) makes documents of a bounded size.

mod counters;
mod emit;
mod flush;
mod in_memory;
mod log;
mod queue;
mod stats;
mod udp;
mod worker;

pub use self::{
    emit::Emitter,
    flush::{Flush, FlushDone},
    in_memory::InMemoryEmitter,
    log::LogEmitter,
    stats::{Dropped, EmitterStats},
    udp::{UdpEmitter, UdpEmitterBuilder},
};
pub use crate::transport::{DaemonAddress, DaemonAddressError, Endpoint};
