//! Segment documents: what is known of a segment when it has closed, and its JSON.
//!
//! In: closed entities. Out: JSON that AWS X-Ray, the X-Ray daemon, the CloudWatch agent and the OpenTelemetry
//! collector accept. What one of them would refuse cannot be built: ids, names, keys and numbers are held in types, or
//! sanitised, when they are added. Messages of errors and panics are recorded as they are, up to 1,000 characters, but for
//! the URLs in them: these lose credentials, query and fragment.
//!
//! ```
//! use tower_xray::{Recorder, emitter::InMemoryEmitter, sampling::SampleAll};
//!
//! let emitter = InMemoryEmitter::new();
//! let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll).build()?;
//! let segment = recorder.begin_segment("nightly-report");
//! segment.add_annotation("rows", 5_000);
//! segment.close();
//!
//! let [document] = &emitter.take()[..] else { panic!("one segment, one document") };
//! assert_eq!(document.annotation("rows"), Some(5_000.into()));
//! assert!(document.to_json().contains(r#""annotations":{"rows":5000}"#));
//! # Ok::<(), tower_xray::recorder::BuildError>(())
//! ```

mod annotation;
mod aws;
mod cause;
mod entity;
mod exception;
mod json;
pub(crate) mod limits;
mod log_group;
mod metadata;
mod resource;
mod segment;
mod serialize;
mod split;
pub(crate) mod text;
mod tree;

pub use self::{
    annotation::AnnotationValue,
    cause::{AsError, Bare, Boxed, RecordedError, Typed},
    entity::EntityDocument,
    exception::{ExceptionDocument, StackFrame},
    limits::MAX_DOCUMENT,
    log_group::LogGroup,
    metadata::MetadataEntry,
    resource::Resource,
    segment::SegmentDocument,
    split::Split,
    text::{InvalidNameError, SegmentName},
    tree::{Namespace, SqlField},
};
pub(crate) use self::{
    cause::{Description, MAX_MESSAGE},
    limits::{MAX_DEPTH, MAX_LINKS},
    log_group::{InvalidLogGroup, MAX_LOG_GROUPS},
    segment::Kind,
    tree::{Index, NONE, Node, Tree},
};
#[cfg(feature = "tracing-subscriber")]
pub(crate) use self::{
    cause::{bounded, message},
    tree::Detail,
};
