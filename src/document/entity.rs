//! One entity of a document.
//!
//! In: a closed tree, and a place in it. Out: what is known about the entity there, and the entities below it.

use std::{fmt, time::Duration};

use super::{
    annotation::AnnotationValue,
    exception::ExceptionDocument,
    metadata::MetadataEntry,
    tree::{Detail, Index, Namespace, Node, Scalar, SqlField, Text, Tree},
};
use crate::id::{SegmentId, TraceId};

/// One entity of a [`SegmentDocument`](super::SegmentDocument): a segment or a subsegment.
///
/// Emitters that write another format find a reader here for every field that JSON has. A text that is not there is
/// empty.
#[derive(Clone, Copy)]
pub struct EntityDocument<'a> {
    tree: &'a Tree,
    index: Index,
}

impl<'a> EntityDocument<'a> {
    pub(super) fn new(tree: &'a Tree, index: Index) -> Self {
        Self { tree, index }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(self) -> SegmentId {
        self.node().id
    }

    /// Returns the id of the entity that it is part of, or that called the segment; `None` where the trace begins.
    #[must_use]
    pub fn parent_id(self) -> Option<SegmentId> {
        self.node().parent_id
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.text(self.node().name)
    }

    /// Returns the kind of call, if it is one.
    #[must_use]
    pub fn namespace(self) -> Option<Namespace> {
        self.node().namespace
    }

    /// Returns when it began, since the Unix epoch.
    #[must_use]
    pub fn start_time(self) -> Duration {
        Duration::from_micros(self.node().start)
    }

    /// Returns when it ended, since the Unix epoch, and never before it began. While it is in progress, that is when it
    /// began.
    #[must_use]
    pub fn end_time(self) -> Duration {
        Duration::from_micros(self.node().end.max(self.node().start))
    }

    /// Whether it is still open: the one entity of a document [in progress](super::SegmentDocument::is_in_progress) is.
    #[must_use]
    pub fn is_in_progress(self) -> bool {
        self.node().is_open()
    }

    /// Whether it ended in a client error (4xx).
    #[must_use]
    pub fn error(self) -> bool {
        self.node().flags.error
    }

    /// Whether it ended in a server error (5xx), an `Err` or a panic.
    #[must_use]
    pub fn fault(self) -> bool {
        self.node().flags.fault
    }

    /// Whether it was refused for coming too often (429).
    #[must_use]
    pub fn throttle(self) -> bool {
        self.node().flags.throttle
    }

    /// Returns the user ID; empty if there is none.
    #[must_use]
    pub fn user(self) -> &'a str {
        self.text(self.node().user)
    }

    /// Returns the method of the HTTP request; empty if there is none.
    #[must_use]
    pub fn http_method(self) -> &'a str {
        self.text(self.node().http.method)
    }

    /// Returns the URL of the HTTP request; empty if there is none.
    #[must_use]
    pub fn http_url(self) -> &'a str {
        self.text(self.node().http.url)
    }

    /// Returns the address of the client; empty if it is not known.
    #[must_use]
    pub fn client_ip(self) -> &'a str {
        self.text(self.node().http.client_ip)
    }

    /// Returns the status of the HTTP response.
    #[must_use]
    pub fn http_status(self) -> Option<u16> {
        self.node().http.status
    }

    /// Returns the number of bytes in the body of the HTTP response.
    #[must_use]
    pub fn content_length(self) -> Option<u64> {
        self.node().http.content_length
    }

    /// Returns the user agent of the HTTP request; empty if there is none. At most 250 characters.
    #[must_use]
    pub fn user_agent(self) -> &'a str {
        self.text(self.node().http.user_agent)
    }

    /// Whether the address of the client comes from the header `X-Forwarded-For`.
    #[must_use]
    pub fn x_forwarded_for(self) -> bool {
        self.node().http.x_forwarded_for
    }

    /// Whether X-Ray should expect a segment of the service that was called.
    #[must_use]
    pub fn traced(self) -> bool {
        self.node().http.traced
    }

    /// Returns an annotation.
    #[must_use]
    pub fn annotation(self, key: &str) -> Option<AnnotationValue<'a>> {
        self.annotations().find_map(|(own, value)| (own == key).then_some(value))
    }

    /// Returns all annotations, in the order in which their keys were added. No two keys differ by case only.
    ///
    /// Keys have at most 500 characters out of `A-Z a-z 0-9 _`, strings at most 1,000.
    ///
    /// ```
    /// # use tower_xray::{Recorder, emitter::InMemoryEmitter, sampling::SampleAll};
    /// # let emitter = InMemoryEmitter::new();
    /// # let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll).build()?;
    /// let segment = recorder.begin_segment("import");
    /// segment.add_annotation("rows", 5_000);
    /// segment.add_annotation("tier", "gold");
    /// segment.close();
    ///
    /// let [document] = &emitter.take()[..] else { panic!("one segment, one document") };
    /// let annotations: Vec<_> = document.root().annotations().collect();
    /// assert_eq!(annotations, [("rows", 5_000.into()), ("tier", "gold".into())]);
    /// # Ok::<(), tower_xray::recorder::BuildError>(())
    /// ```
    pub fn annotations(self) -> impl Iterator<Item = (&'a str, AnnotationValue<'a>)> {
        self.tree.details(self.index).filter_map(move |detail| match *detail {
            Detail::Annotation { key, value } => Some((self.text(key), self.value(value))),
            _ => None,
        })
    }

    /// Returns a field of the `aws` object: see [`Entity::add_aws`](crate::Entity::add_aws).
    #[must_use]
    pub fn aws(self, key: &str) -> Option<AnnotationValue<'a>> {
        self.aws_fields().find_map(|(own, value)| (own == key).then_some(value))
    }

    /// Returns the fields of the `aws` object that are about this entity, in the order in which they were added: at most
    /// 50, with strings of at most 250 characters.
    ///
    /// `resource_names` and `table_names` hold one name each, which JSON has in a list. What all segments have there is
    /// in the [`Resource`](super::Resource) of the document.
    pub fn aws_fields(self) -> impl Iterator<Item = (&'a str, AnnotationValue<'a>)> {
        self.tree.details(self.index).filter_map(move |detail| match *detail {
            Detail::Aws { key, value } => Some((self.text(key), self.value(value))),
            _ => None,
        })
    }

    /// Parses the metadata with this namespace and key.
    #[must_use]
    pub fn metadata(self, namespace: &str, key: &str) -> Option<serde_json::Value> {
        let mut entries = self.metadata_entries();
        entries.find(|entry| entry.namespace() == namespace && entry.key() == key).map(MetadataEntry::value)
    }

    /// Returns all metadata, in the order in which the keys were added. JSON has them by namespace.
    ///
    /// What this crate adds to the namespace `tower_xray` is not among them: see [`cut`](Self::cut).
    pub fn metadata_entries(self) -> impl Iterator<Item = MetadataEntry<'a>> {
        self.tree.details(self.index).filter_map(move |detail| match *detail {
            Detail::Metadata { namespace, key, json } => {
                Some(MetadataEntry::new(self.text(namespace), self.text(key), self.text(json)))
            }
            _ => None,
        })
    }

    /// Returns a field of the `sql` object; empty if it is not there.
    #[must_use]
    pub fn sql(self, field: SqlField) -> &'a str {
        self.sql_fields().find_map(|(own, value)| (own == field).then_some(value)).unwrap_or_default()
    }

    /// Returns the fields of the `sql` object that are there.
    pub fn sql_fields(self) -> impl Iterator<Item = (SqlField, &'a str)> {
        self.tree.details(self.index).filter_map(move |detail| match *detail {
            Detail::Sql { field, value } => Some((field, self.text(value))),
            _ => None,
        })
    }

    /// Returns the exceptions described here, outermost first: chains of at most 32, one after the other.
    pub fn exceptions(self) -> impl Iterator<Item = ExceptionDocument<'a>> {
        let Self { tree, index } = self;
        tree.places(index).filter_map(move |place| ExceptionDocument::at(tree, place))
    }

    /// Returns the id of the exception that is the cause, if an entity below describes it and none is described here.
    ///
    /// An error on its way up is described once, by the first entity that sees it.
    #[must_use]
    pub fn cause_id(self) -> Option<SegmentId> {
        let mut reference = None;
        for detail in self.tree.details(self.index) {
            match detail {
                Detail::Exception { .. } => return None,
                Detail::CauseReference(id) => reference = reference.or(Some(*id)),
                _ => {}
            }
        }
        reference
    }

    /// Returns what was left out because it would not fit, as the metadata `tower_xray.cut` lists it: `links` or `aws`
    /// beyond their limits, and `metadata` of which a value was too large.
    ///
    /// The pieces that [`split`](super::SegmentDocument::split) makes may list more: `stack`, `sql`, `annotations`,
    /// `exceptions`.
    pub fn cut(self) -> impl Iterator<Item = &'static str> {
        self.node().cut.parts()
    }

    /// Returns the segments of other traces that it is linked to: at most 20.
    pub fn links(self) -> impl Iterator<Item = (TraceId, SegmentId)> {
        self.tree.details(self.index).filter_map(|detail| match detail {
            Detail::Link { trace_id, id } => Some((*trace_id, *id)),
            _ => None,
        })
    }

    /// Returns the subsegments directly below, in the order in which they began.
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
