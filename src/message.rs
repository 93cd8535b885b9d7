//! Messages: a trace goes on through queues, topics, events and executions.
//!
//! In: the current entity, when a message is sent; the field of a message, when it is received. Out: text for the
//! field; a segment that continues the producer's trace, or is linked to the traces of all producers of a batch.
//!
//! | service | a producer sets | a consumer finds |
//! |---|---|---|
//! | SQS | the message system attribute [`SQS_ATTRIBUTE`] | the same, if it asks `ReceiveMessage` for it |
//! | SNS | nothing: it passes on the header of the call | `X-Amzn-Trace-Id` of an HTTP delivery; `AWSTraceHeader` in a queue |
//! | EventBridge | `TraceHeader` of each entry of `PutEvents` | `AWSTraceHeader` in a queue, a header or variable elsewhere |
//! | Step Functions | `traceHeader` of `StartExecution` | nothing: the execution is part of the trace |
//!
//! Calls that have a traced client carry the header anyway, and these services take it from there; a field goes before
//! it. So fields are for other clients, and for messages on whose behalf something else is sent.
//!
//! # One message
//!
//! ```
//! use tower_xray::{FutureExt, Recorder, TraceHeader, message};
//!
//! # async fn handle() {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_xray::recorder::BuildError> {
//! # let recorder = Recorder::builder().build()?;
//! # let attribute = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
//! // A damaged attribute is as good as none: the trace begins here.
//! let header: Option<TraceHeader> = attribute.parse().ok();
//! let segment = recorder.begin_segment_from("order-worker", header.as_ref());
//! handle().in_entity(&segment).await;
//!
//! // For a message, an event or an execution that this one leads to.
//! let field: Option<String> = segment.header().map(|header| header.to_field());
//! # assert!(message::is_sampled(&field.unwrap()));
//! # Ok(())
//! # }
//! ```
//!
//! # A batch
//!
//! ```
//! use tower_xray::{Recorder, TraceHeader};
//!
//! # let recorder = Recorder::builder().build()?;
//! # let attributes = ["Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"];
//! let headers = attributes.iter().filter_map(|attribute| attribute.parse::<TraceHeader>().ok());
//! let segment = recorder.begin_batch("order-worker", headers);
//! # Ok::<(), tower_xray::recorder::BuildError>(())
//! ```
//!
//! # Events and executions
//!
//! ```
//! # struct Entry { detail: &'static str, trace_header: Option<String> }
//! # struct Execution { input: &'static str, trace_header: Option<String> }
//! use tower_xray::message;
//!
//! // EventBridge, in `PutEventsRequestEntry`:
//! let entry = Entry { detail: "{}", trace_header: message::current_field() };
//! // Step Functions, in `StartExecution`:
//! let execution = Execution { input: "{}", trace_header: message::current_field() };
//! ```

use crate::{
    context::current_header,
    document::MAX_LINKS,
    entity::Segment,
    header::{SamplingDecision, TraceHeader},
    id::{SegmentId, TraceId},
    recorder::Recorder,
    sampling::Decision,
};

/// The name of SQS's message system attribute. `ReceiveMessage` returns it to those who ask for it by name.
pub const SQS_ATTRIBUTE: &str = "AWSTraceHeader";

/// A field is at most this many bytes long (`traceHeader` of Step Functions; EventBridge takes 500).
pub const MAX_FIELD: usize = 256;

/// The field for a message that the running code sends, if it is part of a trace.
#[must_use]
pub fn current_field() -> Option<String> {
    current_header().map(|header| header.to_field())
}

/// Whether the trace of a message is recorded; a damaged field says that it is not.
#[must_use]
pub fn is_sampled(field: &str) -> bool {
    field.parse().is_ok_and(|header: TraceHeader| header.decision() == SamplingDecision::Sampled)
}

impl TraceHeader {
    /// The text for a field of a message: at most [`MAX_FIELD`] bytes.
    ///
    /// The pairs that belong to others are left out where they would not fit.
    #[must_use]
    pub fn to_field(&self) -> String {
        let text = self.to_text();
        if text.len() > MAX_FIELD { self.without_extra().to_text() } else { text }
    }
}

impl Recorder {
    /// Begins one segment for a batch of messages, with links to the traces they come from.
    ///
    /// It begins a trace of its own, unless all messages come from one and the same call (as a batch of one message
    /// does): then it continues that. Messages whose trace is not recorded are not linked to, and of the others as many
    /// as X-Ray takes (20 links per segment).
    ///
    /// Sampling is decided once for the batch: it is recorded if one of its messages is, and not recorded if none of
    /// them is. Where no message tells, the strategy decides.
    pub fn begin_batch(&self, name: &str, headers: impl IntoIterator<Item = TraceHeader>) -> Segment {
        let mut headers = headers.into_iter();
        let Some(first) = headers.next() else { return self.begin_segment(name) };
        let mut batch = Batch::default();
        batch.add(&first);
        let mut same_call = true;
        for header in headers {
            same_call &= header == first;
            batch.add(&header);
        }
        if same_call {
            return self.begin_segment_from(name, Some(&first));
        }
        let segment = self.begin_segment_as(name, None, batch.decision().map(Decision::new));
        for (trace_id, id) in batch.producers {
            segment.add_link(trace_id, id);
        }
        segment
    }
}

/// What the headers of a batch have to say.
#[derive(Default)]
struct Batch {
    /// One more than can be linked to, so that the document tells of those that are left out.
    producers: Vec<(TraceId, SegmentId)>,
    sampled: bool,
    undecided: bool,
}

impl Batch {
    const MAX_PRODUCERS: usize = MAX_LINKS + 1;

    fn add(&mut self, header: &TraceHeader) {
        let made = header.decision().made();
        self.sampled |= made == Some(true);
        self.undecided |= made.is_none();
        let producer = header.parent().filter(|_| made != Some(false)).map(|id| (header.root(), id));
        let has_room = self.producers.len() < Self::MAX_PRODUCERS;
        self.producers.extend(producer.filter(|producer| has_room && !self.producers.contains(producer)));
    }

    fn decision(&self) -> Option<bool> {
        match (self.sampled, self.undecided) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        }
    }
}
