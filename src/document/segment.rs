//! A closed segment, or a subsegment that travels by itself.
//!
//! In: a closed tree, and what its recorder knows of it. Out: a document that emitters take, read and copy.

use std::{fmt, sync::Arc};

use super::{
    annotation::AnnotationValue, entity::EntityDocument, limits::MAX_STRING, resource::Resource, text::truncate,
    tree::Tree,
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
/// It cannot be changed any more, and a recorder makes exactly one for every id. Before it there may be one of the same
/// segment [in progress](Self::is_in_progress), without subsegments, which it replaces. `Display` writes the JSON.
///
/// Everything in it can be read without JSON: the entities from [`root`](Self::root) on, and what all documents of the
/// recorder share as its [`resource`](Self::resource).
///
/// # Several emitters
///
/// A clone is a deep copy. It reuses buffers of earlier documents of the thread, if there are any. An emitter that hands
/// documents to several others clones them for all but the last, which takes the document itself. A recorder hands
/// documents to its one emitter without a copy or an allocation.
///
/// ```
/// use tower_xray::{document::SegmentDocument, emitter::Emitter};
///
/// struct Tee<A, B>(A, B);
///
/// impl<A: Emitter, B: Emitter> Emitter for Tee<A, B> {
///     fn emit(&self, document: SegmentDocument) {
///         self.0.emit(document.clone());
///         self.1.emit(document);
///     }
/// }
/// ```
#[derive(Clone)]
pub struct SegmentDocument {
    pub(super) tree: Tree,
    pub(super) kind: Kind,
    pub(super) trace_id: TraceId,
    rule_name: Option<Arc<str>>,
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

    /// Returns the id of the trace that it is part of.
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
        self.root().is_in_progress()
    }

    /// Returns the sampling rule that chose this segment, if one did: at most 250 characters.
    #[must_use]
    pub fn sampling_rule_name(&self) -> Option<&str> {
        self.rule_name.as_deref().map(|name| truncate(name, MAX_STRING))
    }

    /// Returns what all documents of the recorder share.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Returns the topmost entity: user, links, exceptions and the HTTP request are here; its subsegments are below it.
    #[must_use]
    pub fn root(&self) -> EntityDocument<'_> {
        EntityDocument::new(&self.tree, 0)
    }

    /// Returns the segment's id.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.root().id()
    }

    /// Returns the id of the segment or subsegment that called, unless the trace begins here.
    #[must_use]
    pub fn parent_id(&self) -> Option<SegmentId> {
        self.root().parent_id()
    }

    /// Returns the segment's name.
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

    /// Returns the HTTP status of the response.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.root().http_status()
    }

    /// Returns an annotation of the topmost entity.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<AnnotationValue<'_>> {
        self.root().annotation(key)
    }

    /// Parses metadata of the topmost entity.
    #[must_use]
    pub fn metadata(&self, namespace: &str, key: &str) -> Option<serde_json::Value> {
        self.root().metadata(namespace, key)
    }

    /// Returns the subsegments directly below the topmost entity, in the order in which they began.
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
