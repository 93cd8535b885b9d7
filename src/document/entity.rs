//! One entity of a document.
//!
//! In: a closed tree, and a place in it. Out: what is known about the entity there, and the entities below it.

use std::{fmt, time::Duration};

use super::{
    annotation::AnnotationValue,
    tree::{Detail, Index, Namespace, Node, Scalar, SqlField, Text, Tree},
};
use crate::id::{SegmentId, TraceId};

/// One entity of a [`SegmentDocument`](super::SegmentDocument), to be looked at.
#[derive(Clone, Copy)]
pub struct EntityDocument<'a> {
    tree: &'a Tree,
    index: Index,
}

impl<'a> EntityDocument<'a> {
    pub(super) fn new(tree: &'a Tree, index: Index) -> Self {
        Self { tree, index }
    }

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

    pub(super) fn node(self) -> &'a Node {
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
