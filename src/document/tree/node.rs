//! Nodes and their attributes: plain old data that refers to the buffers of a tree by position.
//!
//! In: places and pieces of text in the buffers of a tree. Out: what is known of one entity, or one attribute of it.

use crate::{
    classify::Flags,
    id::{SegmentId, TraceId},
};

/// A place among the nodes of a tree, or among its attributes.
pub(crate) type Index = u32;

/// No node, no attribute.
pub(crate) const NONE: Index = Index::MAX;

/// A piece of a tree's text; an empty one stands for an absent field.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text {
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Text {
    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Which kind of call a subsegment records.
///
/// X-Ray segment documents know no other namespaces; local work has none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Namespace {
    /// A call to an AWS service.
    Aws,
    /// Any other downstream call.
    Remote,
}

/// A field of the `sql` object, which describes a query.
///
/// X-Ray segment documents have no other fields there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SqlField {
    /// Where the database is, for a driver that takes something else than a URL (250 characters).
    ConnectionString,
    /// The kind of database, such as `PostgreSQL` (250 characters).
    DatabaseType,
    /// Its version (250 characters).
    DatabaseVersion,
    /// The client's library and version (250 characters).
    DriverVersion,
    /// `call` or `statement`, for a query that was prepared.
    Preparation,
    /// The text of the query, without the literals in it (4,000 characters).
    SanitizedQuery,
    /// Where the database is: `scheme://host/database` (250 characters).
    Url,
    /// The database user (250 characters).
    User,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum State {
    /// The node has left the tree; its place can be taken again.
    #[default]
    Vacant,
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Http {
    pub(crate) method: Text,
    pub(crate) url: Text,
    pub(crate) user_agent: Text,
    pub(crate) client_ip: Text,
    pub(crate) x_forwarded_for: bool,
    pub(crate) traced: bool,
    pub(crate) status: Option<u16>,
    pub(crate) content_length: Option<u64>,
    /// How often a call was sent, if somebody counts.
    pub(crate) attempts: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) id: SegmentId,
    pub(crate) parent_id: Option<SegmentId>,
    pub(crate) name: Text,
    pub(crate) state: State,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) flags: Flags,
    /// A panic of its thread is not its own: it began during the panic, or its work has ended by itself.
    pub(crate) is_blameless: bool,
    /// Microseconds since the epoch.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) http: Http,
    pub(crate) user: Text,
    /// Keys of its `aws` object.
    pub(crate) aws: u8,
    /// What had to be left out: see [`Cut`].
    pub(crate) cut: Cut,
    pub(super) parent: Index,
    pub(super) first_child: Index,
    pub(super) last_child: Index,
    pub(super) next_sibling: Index,
    pub(super) first_attribute: Index,
    pub(super) last_attribute: Index,
}

/// What was left out of an entity because it would not fit; documents list it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cut {
    pub(crate) stack: bool,
    pub(crate) metadata: bool,
    pub(crate) sql: bool,
    pub(crate) annotations: bool,
    pub(crate) exceptions: bool,
    pub(crate) links: bool,
    pub(crate) aws: bool,
}

impl Cut {
    /// What was left out, by the names that documents have for it.
    pub(crate) fn parts(self) -> impl Iterator<Item = &'static str> {
        let Self { stack, metadata, sql, links, annotations, exceptions, aws } = self;
        let parts = [
            (stack, "stack"),
            (metadata, "metadata"),
            (sql, "sql"),
            (links, "links"),
            (annotations, "annotations"),
            (exceptions, "exceptions"),
            (aws, "aws"),
        ];
        parts.into_iter().filter_map(|(cut, part)| cut.then_some(part))
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar {
    Bool(bool),
    Float(f64),
    Integer(i64),
    Text(Text),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Detail {
    Annotation {
        key: Text,
        value: Scalar,
    },
    /// A key of the `aws` object.
    Aws {
        key: Text,
        value: Scalar,
    },
    /// Refers to an exception that another entity of the trace describes.
    CauseReference(SegmentId),
    Exception {
        id: SegmentId,
        kind: Text,
        message: Text,
        remote: bool,
        cause: Option<SegmentId>,
        skipped: u32,
        truncated: u32,
    },
    /// A frame of the exception before it.
    Frame {
        path: Text,
        label: Text,
        line: u32,
    },
    Link {
        trace_id: TraceId,
        id: SegmentId,
    },
    /// The value is JSON.
    Metadata {
        namespace: Text,
        key: Text,
        json: Text,
    },
    Sql {
        field: SqlField,
        value: Text,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) next: Index,
    /// The place of the node, as long as that is in the tree.
    pub(super) node: Index,
    pub(super) detail: Detail,
}

impl Node {
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn has_details(&self) -> bool {
        self.first_attribute != NONE
    }
}
