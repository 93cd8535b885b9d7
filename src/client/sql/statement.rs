//! A query of a database, before it begins.
//!
//! In: a database, and what is known of one query. Out: a call to that database.

use std::{fmt, time::Duration};

use super::{Sql, database::Database};
use crate::{
    call::{BeginCall, Call},
    document::SqlField,
    entity::{Entity, Subsegment},
};

impl Sql {
    /// Returns a query with this text.
    ///
    /// It is looked at only if it is going to be recorded: see [the module](crate::client::sql). Of a text beyond 16 KiB the
    /// beginning is looked at, and 4,000 characters are recorded.
    #[must_use]
    pub fn statement<'a>(&'a self, text: &'a str) -> Statement<'a> {
        Statement { text, ..Statement::from(self) }
    }
}

/// A query of a database. See [`Sql::statement`].
#[derive(Clone, Copy)]
pub struct Statement<'a> {
    sql: &'a Sql,
    #[cfg_attr(not(feature = "sqlparser"), expect(dead_code, reason = "its literals could not be taken out"))]
    text: &'a str,
    preparation: Option<Preparation>,
    ago: Duration,
}

/// How a query was prepared.
///
/// X-Ray segment documents know no other ways; a query that was not prepared has none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Preparation {
    /// A call of a stored procedure.
    Call,
    /// A prepared statement.
    Statement,
}

impl Statement<'_> {
    /// Says how it was prepared.
    #[must_use]
    pub fn preparation(mut self, preparation: Preparation) -> Self {
        self.preparation = Some(preparation);
        self
    }

    /// Says that it began so long ago, for a query that is told of when it is over.
    ///
    /// It never begins before the entity that it is part of.
    #[must_use]
    pub fn began_ago(mut self, ago: Duration) -> Self {
        self.ago = ago;
        self
    }

    /// The text without its literals, if it is to be recorded.
    #[cfg(feature = "sqlparser")]
    pub(crate) fn sanitized(&self, parent: &Entity) -> String {
        let Some(kind) = self.sql.database().target.kind.filter(|_| parent.records_sql_statements()) else {
            return String::new();
        };
        super::literals::replace(self.text, kind).unwrap_or_default()
    }

    #[cfg(not(feature = "sqlparser"))]
    pub(crate) fn sanitized(&self, _: &Entity) -> String {
        String::new()
    }
}

impl<'a> From<&'a Sql> for Statement<'a> {
    fn from(sql: &'a Sql) -> Self {
        Self { sql, text: "", preparation: None, ago: Duration::ZERO }
    }
}

impl BeginCall for Statement<'_> {
    fn begin_call(&mut self, caller: &Entity) -> Call {
        let Database { target, secrets, database_type, database_version, driver_version } = self.sql.database();
        let call = Call::builder(&target.name);
        if !caller.is_recorded() {
            return call.begin_in(caller);
        }
        // Before anything is locked: it may take a while.
        let sanitized = self.sanitized(caller);
        let preparation = match self.preparation {
            Some(Preparation::Call) => "call",
            Some(Preparation::Statement) => "statement",
            None => "",
        };
        let fields = [
            (SqlField::Url, &*target.url),
            (SqlField::ConnectionString, &target.connection_string),
            (SqlField::DatabaseType, database_type),
            (SqlField::DatabaseVersion, database_version),
            (SqlField::DriverVersion, driver_version),
            (SqlField::User, &target.user),
            (SqlField::Preparation, preparation),
            (SqlField::SanitizedQuery, &sanitized),
        ];
        let call = call.began_ago(self.ago).redact(secrets).sql(&fields);
        if self.sql.is_in_process() { call.local().begin_in(caller) } else { call.begin_in(caller) }
    }
}

impl fmt::Debug for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("sql", self.sql).finish_non_exhaustive()
    }
}

impl Entity {
    /// Begins the subsegment of a query. It closes when it is dropped.
    ///
    /// For queries that cannot be wrapped. Their errors, recorded with [`add_fault`](Self::add_fault), may repeat what is
    /// secret in the connection string; [`capture_sql`](crate::capture_sql) and
    /// [`begin_call`](crate::call::BeginCall::begin_call) of a statement redact it.
    pub fn begin_sql<'a>(&self, statement: impl Into<Statement<'a>>) -> Subsegment {
        statement.into().begin_call(self).into_subsegment()
    }
}
