//! The spans and logs that a service has already, as part of its traces.
//!
//! In: spans and events of the `tracing` crate, as `#[tracing::instrument]` makes them. Out: subsegments of the current
//! entity ([`SubsegmentLayer`]), and log lines that tell which trace they belong to ([`TraceIds`]).
//!
//! ```
//! use std::io;
//! use tower_xray::subscriber::{SubsegmentLayer, TraceIds};
//! use tracing_subscriber::{filter::LevelFilter, fmt, prelude::*};
//!
//! #[tracing::instrument(err)]
//! async fn reserve(item: u64) -> Result<u32, io::Error> {
//!     Ok(1) // the subsegment `reserve`, with the annotation `item`
//! }
//!
//! tracing_subscriber::registry()
//!     .with(fmt::layer().with_writer(TraceIds::new(io::stdout)).with_filter(LevelFilter::INFO))
//!     .with(SubsegmentLayer::new().filtered())
//!     .init();
//! ```
//!
//! # What becomes of a span
//!
//! While something is recorded, a span that is chosen becomes a subsegment with the span's name. It begins and closes
//! with the span; one that outlives its segment is sent when it closes. While the span is entered, its subsegment is
//! [`current`](crate::current), on whatever thread, so that calls from there are its children.
//!
//! - Its parent is the current entity, or the `parent: &span` that it names. A span that is not chosen is as good as not
//!   there: neither is it a parent, nor does it take the trace along to a task.
//! - Strings, numbers and booleans among its fields become annotations; [`DebugValues`] says what becomes of others. They
//!   are recorded as they are, but for URLs in them, which lose credentials, query and fragment: arguments that are
//!   secret have to be left out, as by `#[instrument(skip(password))]`.
//!   Fields `db.statement`, `db.query.text` and `db.connection_string` never are: see [`SubsegmentLayer::sql`].
//! - An event inside of it is an error if its level is error; if its level is warn, and it has a field `error` or `err`;
//!   or if such a field is the only one it has, as with `#[instrument(err)]`. It becomes the subsegment's cause, of type
//!   `error`, or with its type and sources if it is recorded as `error = &err as &dyn Error`; and a fault. So do fields
//!   `error` and `err` of the span, and `otel.status_code`, `otel.status_description` and `exception.message`. A panic
//!   that passes through is a fault, too.
//! - `otel.kind` says that it is a call (`client`, `producer`).
//! - `follows_from` a span of another trace links to that.
//!
//! Spans never begin a segment and have no say in sampling: no filter of logs removes a segment or keeps a call from
//! carrying its header. Outside of a trace, and in one that is not recorded, nothing happens at all. So a span does not
//! take such a trace along to a task either: one that calls others needs
//! [`in_current_segment`](crate::FutureExt::in_current_segment) for its calls to carry the header in any case.
//!
//! # Customization
//!
//! [`SubsegmentLayer::spans`] chooses spans, and any filter of `tracing_subscriber` may go around the layer.
//! [`XRayLayer::log_span`](crate::XRayLayer::log_span) tells the trace by a span instead of by the writer. To the layer
//! that span is the segment: a task that gets it by `in_current_span` is part of the request.
//! [`SubsegmentLayer::sql`] takes the queries of sqlx and sea-orm.

mod entered;
mod fields;
mod layer;
mod query;
mod writer;

pub use self::{
    fields::DebugValues,
    layer::{SubsegmentFilter, SubsegmentLayer},
    writer::{TraceIdWriter, TraceIds},
};
