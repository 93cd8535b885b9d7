//! What requests and calls tell of their entities.
//!
//! In: statuses, lengths, causes, queries. Out: the fields and flags of the entity that they are about.

use std::panic::{self, AssertUnwindSafe};

use http::StatusCode;

use super::{Entity, handle::State};
#[cfg(feature = "tracing-subscriber")]
use crate::document::{Detail, SqlField};
use crate::{
    classify::{Class, Flags},
    document::{Description, Index, Namespace, Node, Tree},
    grpc,
};

impl Entity {
    /// Whether the text of a statement would be recorded.
    #[cfg(feature = "sqlparser")]
    pub(crate) fn records_statements(&self) -> bool {
        matches!(&self.0, State::Recorded { recording, .. } if recording.records_sql_statements())
    }

    #[cfg(all(not(feature = "sqlparser"), feature = "tracing-subscriber"))]
    pub(crate) fn records_statements(&self) -> bool {
        false
    }

    /// Whether it is a query itself.
    #[cfg(feature = "tracing-subscriber")]
    pub(crate) fn is_query(&self) -> bool {
        let State::Recorded { recording, index, id } = &self.0 else { return false };
        recording.is(*index, *id, |detail| matches!(detail, Detail::Sql { .. }))
    }

    /// Says something about a query that has begun, unless it is known.
    #[cfg(feature = "tracing-subscriber")]
    pub(crate) fn add_sql(&self, field: SqlField, value: &str) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        let is_field = |detail: &Detail| matches!(detail, Detail::Sql { field: known, .. } if *known == field);
        recording.describe(*index, *id, |tree| {
            if !tree.details(*index).any(is_field) {
                tree.add_sql(*index, field, value);
            }
        });
    }

    /// Records a cause; `describe` runs before anything is locked, since it runs the caller's code.
    pub(crate) fn add_cause(&self, describe: impl FnOnce() -> Description) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        // An error that cannot be written down is not worth a panic.
        match panic::catch_unwind(AssertUnwindSafe(describe)) {
            Ok(description) => recording.add_exceptions(*index, *id, &recording.with_stack(description)),
            Err(_) => recording.refuse(),
        }
    }

    /// Records the status of a response, and what it says about errors.
    pub(crate) fn set_status(&self, status: StatusCode) {
        self.update(|node| {
            node.http.status = Some(status.as_u16());
            node.flags.add(Class::of_status(status.as_u16()));
        });
    }

    /// Records what a gRPC status says about errors; the HTTP status is 200 whatever has happened. Its message is the
    /// cause, which `edit` may change.
    ///
    /// It is in the trailers of a response, or in its headers if there is nothing else to send.
    pub(crate) fn set_grpc_status(
        &self,
        status: &grpc::Status<'_>,
        remote: bool,
        edit: impl FnOnce(Description) -> Description,
    ) {
        let code = status.code;
        if code == grpc::Code::OK || !self.is_recorded() {
            return;
        }
        self.classify(Class::of_grpc(code.0));
        self.add_annotation("grpc_status", code.0);
        if let Some(description) = status.description(remote) {
            self.add_cause(|| edit(description));
        }
    }

    /// Tells more of a call to somebody else; nothing if this is something else.
    pub(crate) fn describe_call(&self, describe: impl FnOnce(&mut Tree, Index)) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        recording.describe(*index, *id, |tree| {
            if tree.node(*index).namespace == Some(Namespace::Remote) {
                describe(tree, *index);
            }
        });
    }

    /// Adds to the flags.
    pub(crate) fn classify(&self, class: Class) {
        self.update(|node| node.flags.add(class));
    }

    /// The flags so far, of an entity that is recorded and open.
    pub(crate) fn flags(&self) -> Option<Flags> {
        let State::Recorded { recording, index, id } = &self.0 else { return None };
        recording.flags(*index, *id)
    }

    pub(crate) fn set_content_length(&self, bytes: u64) {
        self.update(|node| node.http.content_length = Some(bytes));
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Node)) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        recording.describe(*index, *id, |tree| change(tree.node_mut(*index)));
    }
}
