#![doc = "AWS X-Ray for Tower and Axum."]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
pub mod client;
pub mod context;
pub mod document;
pub mod emitter;
pub mod entity;
mod environment;
pub mod future;
pub mod header;
pub mod id;
#[cfg(feature = "local")]
pub mod local;
pub mod recorder;
pub mod sampling;
pub mod server;
pub mod w3c;

pub use self::{
    client::XRayClientLayer,
    context::current,
    entity::{Entity, Segment, Subsegment},
    future::{FutureExt, capture},
    header::TraceHeader,
    id::{SegmentId, TraceId},
    recorder::{Recorder, RecorderBuilder},
    server::XRayLayer,
};
