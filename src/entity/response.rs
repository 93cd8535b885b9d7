//! What requests and calls record at their entities.
//!
//! In: statuses, lengths, causes, queries. Out: the fields and flags of the entity that they are about.

use std::panic::{self, AssertUnwindSafe};

use super::{Entity, handle::State};
#[cfg(feature = "tracing-subscriber")]
use crate::document::{Detail, SqlField};
use crate::{
    classify::{Class, Flags},
    document::{Description, Node},
    grpc,
};

impl Entity {
    /// Returns whether the text of a SQL statement would be recorded: it takes the feature `sqlparser` and
    /// `RecorderBuilder::sql_statements`.
    #[must_use]
    pub fn records_sql_statements(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "sqlparser")]
            State::Recorded { recording, .. } => recording.records_sql_statements(),
            _ => false,
        }
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
        recording.describe(*index, *id, |tree| tree.add_sql(*index, field, value));
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

    /// Records the status of a response, and how it counts.
    pub(crate) fn set_status(&self, status: u16, class: Class) {
        self.update(|node| {
            node.http.status = Some(status);
            node.flags.add(class);
        });
    }

    /// Records what a gRPC status says about errors; the HTTP status is 200 whatever has happened. Its message is the
    /// cause, which `edit` may change.
    ///
    /// It is in the trailers of a response, or in its headers if there is nothing else to send.
    pub(crate) fn set_grpc_status(&self, status: &grpc::Status<'_>, edit: impl FnOnce(Description) -> Description) {
        let code = status.code;
        if code == grpc::Code::OK || !self.is_recorded() {
            return;
        }
        self.classify(Class::of_grpc(code.0));
        self.add_annotation("grpc_status", code.0);
        if let Some(description) = status.description(self.is_call()) {
            self.add_cause(|| edit(description));
        }
    }

    /// Whether it is a call to another service.
    pub(crate) fn is_call(&self) -> bool {
        self.look(|node| node.namespace.is_some()).unwrap_or_default()
    }

    /// Counts one more attempt of a call; that there was one need not be said.
    pub(crate) fn count_attempt(&self) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        recording.describe(*index, *id, |tree| {
            let node = tree.node_mut(*index);
            if node.namespace.is_none() {
                return;
            }
            node.http.attempts = node.http.attempts.saturating_add(1);
            let attempts = node.http.attempts;
            if attempts > 1 {
                tree.annotate(*index, "attempts", &attempts.into());
            }
        });
    }

    /// Makes a call local work.
    pub(crate) fn clear_namespace(&self) {
        self.update(|node| node.namespace = None);
    }

    /// Counts a detail that was refused.
    pub(crate) fn refuse(&self) {
        if let State::Recorded { recording, .. } = &self.0 {
            recording.refuse();
        }
    }

    /// Whether a panic of the thread that drops it is its own.
    pub(crate) fn is_to_blame(&self) -> bool {
        self.look(|node| !node.is_blameless).unwrap_or_default()
    }

    /// Adds to the flags.
    pub(crate) fn classify(&self, class: Class) {
        self.update(|node| node.flags.add(class));
    }

    /// The flags so far, of an entity that is recorded and open.
    pub(crate) fn flags(&self) -> Option<Flags> {
        self.look(|node| node.flags)
    }

    pub(crate) fn set_content_length(&self, bytes: u64) {
        self.update(|node| node.http.content_length = Some(bytes));
    }

    fn look<T>(&self, look: impl FnOnce(&Node) -> T) -> Option<T> {
        let State::Recorded { recording, index, id } = &self.0 else { return None };
        recording.look(*index, *id, look)
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Node)) {
        let State::Recorded { recording, index, id } = &self.0 else { return };
        recording.describe(*index, *id, |tree| change(tree.node_mut(*index)));
    }
}
