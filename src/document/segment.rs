//! A closed segment, or a subsegment that travels by itself.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    annotation::AnnotationValue,
    resource::Resource,
    tree::{Detail, Index, Namespace, Node, Scalar, SqlField, Text, Tree},
};
use crate::id::{SegmentId, TraceId};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Segment,
    /// A subsegment outside of its segment: it outlived it, or the segment had become too large.
    Subsegment,
}

/// What an [`Emitter`](crate::emitter::Emitter) sends: a closed segment with its completed subsegments, or a
/// subsegment that travels by itself.
///
/// It cannot be changed any more, and exactly one is made for every id. Before it there may be one of the same segment
/// [in progress](Self::is_in_progress), without subsegments, which it replaces. `Display` writes the JSON.
pub struct SegmentDocument {
    pub(super) tree: Tree,
    pub(super) kind: Kind,
    pub(super) trace_id: TraceId,
    pub(super) rule_name: Option<Arc<str>>,
    pub(super) resource: Arc<Resource>,
}

impl SegmentDocument {
    pub(crate) fn new(
        tree: Tree,
        kind: Kind,
        trace_id: TraceId,
        rule_name: Option<Arc<str>>,
        resource: Arc<Resource>,
    ) -> Self {
        Self { tree, kind, trace_id, rule_name, resource }
    }

    /// The trace it is part of.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// Whether this is a subsegment that travels by itself.
    #[must_use]
    pub fn is_subsegment(&self) -> bool {
        self.kind == Kind::Subsegment
    }

    /// Whether this announces a segment that is still open: see
    /// [`Entity::send_in_progress`](crate::Entity::send_in_progress).
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.root().node().is_open()
    }

    /// The sampling rule that chose this segment, if one did.
    #[must_use]
    pub fn sampling_rule_name(&self) -> Option<&str> {
        self.rule_name.as_deref()
    }

    /// The topmost entity: user, links, exceptions and the HTTP request are here; its subsegments are below it.
    #[must_use]
    pub fn root(&self) -> EntityDocument<'_> {
        EntityDocument { tree: &self.tree, index: 0 }
    }

    /// The segment's id.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.root().id()
    }

    /// The id of the segment or subsegment that called, unless the trace begins here.
    #[must_use]
    pub fn parent_id(&self) -> Option<SegmentId> {
        self.root().node().parent_id
    }

    /// The segment's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.root().name()
    }

    /// Whether it ended in a client error (4xx).
    #[must_use]
    pub fn error(&self) -> bool {
        self.root().error()
    }

    /// Whether it ended in a server error (5xx), an `Err` or a panic.
    #[must_use]
    pub fn fault(&self) -> bool {
        self.root().fault()
    }

    /// Whether it was refused for coming too often (429).
    #[must_use]
    pub fn throttle(&self) -> bool {
        self.root().throttle()
    }

    /// The HTTP status of the response.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.root().http_status()
    }

    /// An annotation of the topmost entity.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<AnnotationValue<'_>> {
        self.root().annotation(key)
    }

    /// Metadata of the topmost entity.
    #[must_use]
    pub fn metadata(&self, namespace: &str, key: &str) -> Option<serde_json::Value> {
        self.root().metadata(namespace, key)
    }

    /// The subsegments directly below the topmost entity, in the order in which they began.
    pub fn subsegments(&self) -> impl Iterator<Item = EntityDocument<'_>> {
        self.root().subsegments()
    }
}

impl fmt::Debug for SegmentDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentDocument")
            .field("trace_id", &self.trace_id)
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Drop for SegmentDocument {
    fn drop(&mut self) {
        std::mem::take(&mut self.tree).recycle();
    }
}

/// One entity of a [`SegmentDocument`], to be looked at.
#[derive(Clone, Copy)]
pub struct EntityDocument<'a> {
    tree: &'a Tree,
    index: Index,
}

impl<'a> EntityDocument<'a> {
    /// Its id.
    #[must_use]
    pub fn id(self) -> SegmentId {
        self.node().id
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.text(self.node().name)
    }

    /// The kind of call, if it is one.
    #[must_use]
    pub fn namespace(self) -> Option<Namespace> {
        self.node().namespace
    }

    /// When it began, since the Unix epoch.
    #[must_use]
    pub fn start_time(self) -> Duration {
        Duration::from_micros(self.node().start)
    }

    /// When it ended, since the Unix epoch; never before it began. While it is in progress, when it began.
    #[must_use]
    pub fn end_time(self) -> Duration {
        Duration::from_micros(self.node().end.max(self.node().start))
    }

    /// Whether it ended in a client error (4xx).
    #[must_use]
    pub fn error(self) -> bool {
        self.node().error
    }

    /// Whether it ended in a server error (5xx), an `Err` or a panic.
    #[must_use]
    pub fn fault(self) -> bool {
        self.node().fault
    }

    /// Whether it was refused for coming too often (429).
    #[must_use]
    pub fn throttle(self) -> bool {
        self.node().throttle
    }

    /// The user it was done for; empty if none was named.
    #[must_use]
    pub fn user(self) -> &'a str {
        self.text(self.node().user)
    }

    /// The method of the HTTP request; empty if there is none.
    #[must_use]
    pub fn http_method(self) -> &'a str {
        self.text(self.node().http.method)
    }

    /// The URL of the HTTP request; empty if there is none.
    #[must_use]
    pub fn http_url(self) -> &'a str {
        self.text(self.node().http.url)
    }

    /// The address of the client; empty if it is not known.
    #[must_use]
    pub fn client_ip(self) -> &'a str {
        self.text(self.node().http.client_ip)
    }

    /// The status of the HTTP response.
    #[must_use]
    pub fn http_status(self) -> Option<u16> {
        self.node().http.status
    }

    /// Bytes in the body of the HTTP response.
    #[must_use]
    pub fn content_length(self) -> Option<u64> {
        self.node().http.content_length
    }

    /// An annotation.
    #[must_use]
    pub fn annotation(self, key: &str) -> Option<AnnotationValue<'a>> {
        self.tree.details(self.index).find_map(|detail| match detail {
            Detail::Annotation { key: own, value } if self.text(*own) == key => Some(self.value(*value)),
            _ => None,
        })
    }

    /// What the `aws` object says: see [`Entity::add_aws`](crate::Entity::add_aws).
    #[must_use]
    pub fn aws(self, key: &str) -> Option<AnnotationValue<'a>> {
        self.tree.details(self.index).find_map(|detail| match detail {
            Detail::Aws { key: own, value } if self.text(*own) == key => Some(self.value(*value)),
            _ => None,
        })
    }

    /// Metadata.
    #[must_use]
    pub fn metadata(self, namespace: &str, key: &str) -> Option<serde_json::Value> {
        self.tree.details(self.index).find_map(|detail| match detail {
            Detail::Metadata { namespace: own, key: own_key, json }
                if self.text(*own) == namespace && self.text(*own_key) == key =>
            {
                serde_json::from_str(self.text(*json)).ok()
            }
            _ => None,
        })
    }

    /// A field of the object `sql`; empty if it is not there.
    #[must_use]
    pub fn sql(self, field: SqlField) -> &'a str {
        let told = self.tree.details(self.index).find_map(|detail| match detail {
            Detail::Sql { field: own, value } if *own == field => Some(self.text(*value)),
            _ => None,
        });
        told.unwrap_or_default()
    }

    /// Types and messages of the exceptions described here, outermost first.
    pub fn exceptions(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.tree.details(self.index).filter_map(move |detail| match detail {
            Detail::Exception { kind, message, .. } => Some((self.text(*kind), self.text(*message))),
            _ => None,
        })
    }

    /// The segments of other traces that it is linked to.
    pub fn links(self) -> impl Iterator<Item = (TraceId, SegmentId)> {
        self.tree.details(self.index).filter_map(|detail| match detail {
            Detail::Link { trace_id, id } => Some((*trace_id, *id)),
            _ => None,
        })
    }

    /// The subsegments directly below, in the order in which they began.
    pub fn subsegments(self) -> impl Iterator<Item = Self> {
        self.tree.children(self.index).map(move |index| Self { tree: self.tree, index })
    }

    fn node(self) -> &'a Node {
        self.tree.node(self.index)
    }

    fn value(self, value: Scalar) -> AnnotationValue<'a> {
        match value {
            Scalar::Bool(value) => AnnotationValue::Bool(value),
            Scalar::Float(value) => AnnotationValue::Float(value),
            Scalar::Integer(value) => AnnotationValue::Integer(value),
            Scalar::Text(value) => AnnotationValue::Text(self.text(value).into()),
        }
    }

    fn text(self, text: Text) -> &'a str {
        self.tree.str(text)
    }
}

impl fmt::Debug for EntityDocument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityDocument").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}
