//! The handle that describes a segment or a subsegment.
//!
//! In: what a program wants to record about its work. Out: changes to the recording it belongs to, if there is one.

use std::sync::Arc;

use serde::Serialize;

use super::{
    metadata::{self, Refused},
    recording::Recording,
};
use crate::{
    classify::Class,
    document::{AnnotationValue, AsError, Description, Index, Namespace},
    header::TraceHeader,
    id::{SegmentId, TraceId},
};

/// A handle to a segment or subsegment: describes it, and begins subsegments below it.
///
/// Everything that is said after it has closed, or where nothing is recorded, is dropped.
#[derive(Clone, Debug, Default)]
pub struct Entity(pub(super) State);

#[derive(Clone, Debug, Default)]
pub(super) enum State {
    #[default]
    None,
    /// Not recorded: the header for the services that it calls.
    Propagated(TraceHeader),
    Recorded {
        recording: Arc<Recording>,
        index: Index,
        id: SegmentId,
    },
}

impl Entity {
    /// No entity: nothing is recorded, and calls carry no header.
    #[must_use]
    pub const fn none() -> Self {
        Self(State::None)
    }

    pub(crate) const fn propagated(header: TraceHeader) -> Self {
        Self(State::Propagated(header))
    }

    pub(crate) const fn recorded(recording: Arc<Recording>, index: Index, id: SegmentId) -> Self {
        Self(State::Recorded { recording, index, id })
    }

    /// Whether it was chosen to be recorded; with [`Capture`](crate::sampling::Capture), whether that is sent may depend
    /// on the outcome.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        matches!(self.0, State::Recorded { .. })
    }

    /// Whether there is no entity at all: the work belongs to no trace.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self.0, State::None)
    }

    /// The id of the trace, also of one that is not recorded: for logs.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        match &self.0 {
            State::None => None,
            State::Propagated(header) => Some(header.root()),
            State::Recorded { recording, .. } => Some(recording.trace_id()),
        }
    }

    /// The id of the segment or subsegment, also of one that is not recorded.
    #[must_use]
    pub fn id(&self) -> Option<SegmentId> {
        match &self.0 {
            State::None => None,
            State::Propagated(header) => header.parent(),
            State::Recorded { id, .. } => Some(*id),
        }
    }

    /// The header for a call that this entity makes: `Root=…;Parent=<its id>;Sampled=0|1`, and the pairs that belong to
    /// others.
    ///
    /// The clients write it by themselves; this is for calls that have no client here, such as messages.
    #[must_use]
    pub fn header(&self) -> Option<TraceHeader> {
        match &self.0 {
            State::None => None,
            State::Propagated(header) => Some(header.clone()),
            State::Recorded { recording, id, .. } => Some(recording.header(*id)),
        }
    }

    /// Adds an annotation: X-Ray indexes it, so that traces can be searched by it. A later value replaces an earlier one.
    ///
    /// Any character of the key but `A-Z a-z 0-9 _` becomes `_`, and a key is cut at 500 characters (X-Ray segment
    /// documents). A float that is not finite is refused and counted. X-Ray indexes 50 annotations per trace.
    pub fn add_annotation<'a>(&self, key: &str, value: impl Into<AnnotationValue<'a>>) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        match value.into() {
            AnnotationValue::Float(value) if !value.is_finite() => recording.refuse(),
            value => recording.describe(*index, *id, |tree| tree.annotate(*index, key, &value)),
        }
    }

    /// Adds metadata in the namespace `default`: kept with the trace, and not searched.
    ///
    /// The value is any that can be JSON. One that cannot, that is larger than 64,000 bytes or nested deeper than 40
    /// levels, is refused and counted; the document lists the latter two in its own metadata (`tower_xray.cut`).
    pub fn add_metadata(&self, key: &str, value: impl Serialize) {
        self.add_metadata_in("default", key, value);
    }

    /// Adds metadata in another namespace. Namespaces that begin with `AWS.` are X-Ray's own; the dot becomes `_`. So is
    /// `tower_xray` this crate's, and becomes `tower_xray_`.
    pub fn add_metadata_in(&self, namespace: &str, key: &str, value: impl Serialize) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        // Serializing runs the caller's code, so it happens before anything is locked.
        match metadata::to_json(&value) {
            Ok(json) => recording.describe(*index, *id, |tree| tree.add_metadata(*index, namespace, key, &json)),
            Err(refused) => {
                recording.refuse();
                if matches!(refused, Refused::TooLarge) {
                    self.update(|node| node.cut.metadata = true);
                }
            }
        }
    }

    /// Adds to the `aws` object: what is known about a call to AWS, or about where a segment runs.
    ///
    /// For clients of AWS that this crate does not trace. X-Ray draws a queue or a table by its `queue_url`, `topic_arn`
    /// or `table_name` if the namespace is [`Aws`](Namespace::Aws); `operation`, `region` and `request_id` are shown.
    ///
    /// Keys are X-Ray's snake case out of `a-z 0-9 _`: `TableName` becomes `table_name`. The keys of objects that are
    /// X-Ray's own (`xray`, `cloudwatch_logs`, `ec2`, `ecs`, `eks`, `elastic_beanstalk`, `tracing`) get a `_` at their
    /// end. Keys and texts are cut at 250 characters, and a later value replaces an earlier one. What comes after 50 keys
    /// is refused and counted, and so are floats that are not finite, and a value of `retries` that is no integer.
    ///
    /// ```
    /// use tower_xray::document::Namespace;
    ///
    /// let call = tower_xray::current().begin_subsegment("DynamoDB");
    /// call.set_namespace(Namespace::Aws);
    /// call.add_aws("operation", "GetItem");
    /// call.add_aws("table_name", "orders");
    /// ```
    pub fn add_aws<'a>(&self, key: &str, value: impl Into<AnnotationValue<'a>>) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        let (value, mut refused) = (value.into(), false);
        recording.describe(*index, *id, |tree| refused = !tree.add_aws(*index, key, value));
        if refused {
            recording.refuse();
        }
    }

    /// Says for whom the work is done: an id that traces can be searched by, cut at 250 characters.
    ///
    /// X-Ray knows the user of a segment, so this is about the segment wherever it is called.
    pub fn set_user(&self, user: &str) {
        let State::Recorded { recording, .. } = &self.0 else { return };
        recording.describe_segment(|tree, index| {
            let user = tree.write_string(user);
            tree.node_mut(index).user = user;
        });
    }

    /// Says that a subsegment is a call, and to whom.
    pub fn set_namespace(&self, namespace: Namespace) {
        self.update(|node| node.namespace = Some(namespace));
    }

    /// Marks a client error, as a status of 4xx does.
    pub fn set_error(&self) {
        self.classify(Class::Error);
    }

    /// Marks a client error that came of too many requests, as a status of 429 does.
    pub fn set_throttle(&self) {
        self.classify(Class::Throttle);
    }

    /// Marks a server error, as a status of 5xx does.
    pub fn set_fault(&self) {
        self.classify(Class::Fault);
    }

    /// Records an error with its chain of sources as the cause, and marks a client error.
    pub fn add_error<E: AsError<K> + ?Sized, K>(&self, error: &E) {
        self.add_cause(|| Description::of_error(error.as_error(), E::type_name(), false));
        self.set_error();
    }

    /// Records an error with its chain of sources as the cause, and marks a fault.
    ///
    /// What a subsegment below has recorded already is not described again, only referred to.
    pub fn add_fault<E: AsError<K> + ?Sized, K>(&self, error: &E) {
        self.add_cause(|| Description::of_error(error.as_error(), E::type_name(), false));
        self.set_fault();
    }

    /// Links to a segment of another trace, such as the one that has sent a message.
    ///
    /// The same link is kept once. X-Ray segment documents have at most 20; the document says if there were more
    /// (`tower_xray.cut`).
    pub fn add_link(&self, trace_id: TraceId, id: SegmentId) {
        let State::Recorded { recording, index, id: own } = &self.0 else { return };
        recording.describe(*index, *own, |tree| tree.add_link(*index, trace_id, id));
    }

    /// Sends the segment although it is not sampled, and whatever its outcome.
    ///
    /// That takes a recording of it: [`RecorderBuilder::capture`](crate::RecorderBuilder::capture) has to be on, with
    /// [`Capture::kept`](crate::sampling::Capture::kept) at least; nothing happens otherwise. Calls that were made
    /// before and afterwards have told their callees `Sampled=0`, so the trace has the segments of this service only.
    pub fn keep(&self) {
        if let State::Recorded { recording, .. } = &self.0 {
            recording.keep();
        }
    }

    /// Sends nothing of the segment that has not been sent yet, although it is sampled.
    ///
    /// Calls that were made before and afterwards have told their callees `Sampled=1`, so their segments remain.
    pub fn discard(&self) {
        if let State::Recorded { recording, .. } = &self.0 {
            recording.discard();
        }
    }

    fn release(&mut self) {
        if let State::Recorded { recording, .. } = std::mem::take(&mut self.0) {
            Recording::release(recording);
        }
    }
}

impl Drop for Entity {
    #[inline]
    fn drop(&mut self) {
        // Only the last one has something to release, and a count of one says that it is the last.
        if matches!(&self.0, State::Recorded { recording, .. } if Arc::strong_count(recording) == 1) {
            self.release();
        }
    }
}
