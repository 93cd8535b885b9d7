//! SQL: a subsegment for every query, named `database@host`.
//!
//! In: the connection string of a driver, once, and futures that query. Out: the same results, and subsegments with a
//! `sql` object: where the database is, of what type, and who asks. An `Err` is a fault.
//!
//! ```
//! use tower_xray::{Sql, capture_sql};
//!
//! # struct Pool;
//! # impl Pool { async fn orders(&self, _: &str) -> Result<u64, std::io::Error> { Ok(1) } }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), std::io::Error> {
//! # let pool = Pool;
//! // Once, beside the pool.
//! let sql = Sql::new("postgres://shop_rw:secret@db.internal:5432/orders");
//!
//! // For every query.
//! let statement = "SELECT count(*) FROM orders WHERE customer = $1";
//! let orders = capture_sql(sql.statement(statement), pool.orders(statement)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A database within the process, such as SQLite, is no other node of the service map: its subsegments are local work,
//! named after its file.
//!
//! # What is recorded
//!
//! User, host, port and database, wherever the connection string has them; nothing else of it. A password stays out
//! of the messages of the query's errors, too. They are the database's own otherwise, and may repeat a value of the
//! query. Whoever records the same error elsewhere, as [`capture`](crate::capture) does around the query, records its
//! message as it is.
//!
//! The text of a statement is not recorded unless the feature `sqlparser` is on and
#![cfg_attr(feature = "sqlparser", doc = "[`RecorderBuilder::sql_statements`](crate::RecorderBuilder::sql_statements)")]
#![cfg_attr(not(feature = "sqlparser"), doc = "`RecorderBuilder::sql_statements`")]
//! or `AWS_XRAY_COLLECT_SQL_QUERIES=true` says so. Then every literal in it is a `?`, and its comments are gone.
//!
//! # Queries that somebody else times
//!
//! Where a driver tells of a query when it is over, [`Statement::began_ago`] says when it began:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_xray::Sql;
//! # let sql = Sql::new("mysql://db.internal/orders");
//! fn on_query(sql: &Sql, statement: &str, elapsed: Duration, failed: bool) {
//!     let query = tower_xray::current().begin_sql(sql.statement(statement).began_ago(elapsed));
//!     if failed {
//!         query.set_fault();
//!     }
//! }
//! # on_query(&sql, "SELECT 1", Duration::from_millis(3), false);
//! ```

mod connection_string;
mod kind;
#[cfg(feature = "sqlparser")]
mod literals;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

#[cfg(all(feature = "diesel", feature = "sqlparser"))]
pub(super) use self::literals::MAX_READ;
use self::{connection_string::Target, kind::Kind};
use crate::{
    context::{current, run_in},
    document::{AsError, Description, Namespace, SqlField},
    entity::{Entity, Subsegment},
    future::{Begin, Within},
};

/// Runs a query in a subsegment of the current entity; an `Err` becomes its fault and cause, and is passed on.
///
/// It is to a query what [`capture`](crate::capture) is to other work: with [`FutureExt::in_subsegment`] it shares when
/// the subsegment begins and closes, and what becomes of a panic and of a future that is dropped.
///
/// The first argument is a [`Sql`] by reference, or [one with a statement](Sql::statement).
///
/// [`FutureExt::in_subsegment`]: crate::FutureExt::in_subsegment
pub fn capture_sql<'a, F, T, E, K>(statement: impl Into<Statement<'a>>, future: F) -> CaptureSql<'a, F>
where
    F: Future<Output = Result<T, E>>,
    E: AsError<K>,
{
    fn record<T, E: AsError<K>, K>(sql: &Sql, entity: &Entity, output: &Result<T, E>) {
        if let Err(error) = output {
            sql.add_fault(entity, error);
        }
    }

    CaptureSql { inner: Within::new(future, statement.into()), record: record::<T, E, K> }
}

/// Runs a query of a client that blocks, as [`capture_sql`] does.
///
/// ```
/// use tower_xray::{Sql, client::sql::capture_sql_blocking};
///
/// let sql = Sql::new("sqlite:orders.db");
/// let rows = capture_sql_blocking(&sql, || Ok::<_, std::io::Error>(1));
/// ```
///
/// # Errors
///
/// Those of `query`.
///
/// # Panics
///
/// When `query` does; the panic is recorded first.
pub fn capture_sql_blocking<'a, T, E: AsError<K>, K>(
    statement: impl Into<Statement<'a>>,
    query: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let statement = statement.into();
    run_in(current().begin_sql(statement), query, |entity, error| statement.sql.add_fault(entity, error))
}

/// A database, as its queries are recorded. Made once; a clone is another handle to the same.
///
/// Names and descriptions are cut at 250 characters (X-Ray segment documents).
#[derive(Clone)]
pub struct Sql(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    target: Target,
    database_type: String,
    database_version: String,
    driver_version: String,
}

impl Sql {
    /// Takes the string that the driver connects by: a URL, a path, `key=value` pairs.
    ///
    /// `postgres`, `mysql`, `mariadb`, `sqlserver`, `oracle`, `sqlite` and `duckdb` are schemes that are known; pairs with
    /// spaces in between are PostgreSQL's. A string that is none of all that, is longer than 8 KiB, or may have its
    /// password in another place than it seems, is left out, but for the type of the database.
    #[must_use]
    pub fn new(connection_string: &str) -> Self {
        let target = Target::parse(connection_string);
        let database_type = target.kind.map(Kind::name).unwrap_or_default().to_owned();
        Self(Arc::new(Inner { target, database_type, database_version: String::new(), driver_version: String::new() }))
    }

    /// Names the subsegments, instead of after database and host.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with(|inner| inner.target.name = name.into())
    }

    /// Says of what type the database is, such as `PostgreSQL`, where the connection string does not.
    ///
    /// Of a type that is known, it is also how statements are read.
    #[must_use]
    pub fn database_type(self, database_type: impl Into<String>) -> Self {
        self.with(|inner| {
            inner.database_type = database_type.into();
            inner.target.kind = Kind::of_name(&inner.database_type);
        })
    }

    /// The version of the database.
    #[must_use]
    pub fn database_version(self, version: impl Into<String>) -> Self {
        self.with(|inner| inner.database_version = version.into())
    }

    /// The driver with its version, such as `sqlx 0.9.0`.
    #[must_use]
    pub fn driver_version(self, version: impl Into<String>) -> Self {
        self.with(|inner| inner.driver_version = version.into())
    }

    /// Whom the database takes the client for, where the connection string does not say it.
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        self.with(|inner| inner.target.user = user.into())
    }

    /// A query with this text.
    ///
    /// It is looked at only if it is going to be recorded: see [the module](self). Of a text beyond 16 KiB the beginning
    /// is looked at, and 4,000 characters are recorded.
    #[must_use]
    pub fn statement<'a>(&'a self, text: &'a str) -> Statement<'a> {
        Statement { text, ..Statement::from(self) }
    }

    /// Records an error without what is secret here, as the cause of a fault.
    pub(crate) fn add_fault<E: AsError<K>, K>(&self, entity: &Entity, error: &E) {
        let remote = !self.is_in_process();
        entity.add_cause(|| self.redact(Description::of_error(error.as_error(), E::type_name(), remote)));
        entity.set_fault();
    }

    fn redact(&self, description: Description) -> Description {
        description.without(&self.0.target.secrets)
    }

    fn is_in_process(&self) -> bool {
        self.0.target.kind.is_some_and(Kind::is_in_process)
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// For queries that spans and events tell of.
#[cfg(feature = "tracing-subscriber")]
impl Sql {
    /// Records an error that is known by its description.
    pub(crate) fn add_description(&self, entity: &Entity, mut description: Description) {
        for exception in &mut description.exceptions {
            exception.remote = !self.is_in_process();
        }
        entity.add_cause(|| self.redact(description));
    }

    /// Records the text of a query that has begun already, if it is to be recorded.
    pub(crate) fn add_statement(&self, entity: &Entity, text: &str) {
        entity.add_sql(SqlField::SanitizedQuery, &self.statement(text).sanitized(entity));
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql").field("name", &self.0.target.name).finish_non_exhaustive()
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
    fn sanitized(&self, parent: &Entity) -> String {
        let Some(kind) = self.sql.0.target.kind.filter(|_| parent.records_statements()) else { return String::new() };
        literals::replace(self.text, kind).unwrap_or_default()
    }

    #[cfg(not(feature = "sqlparser"))]
    fn sanitized(&self, _: &Entity) -> String {
        String::new()
    }
}

impl<'a> From<&'a Sql> for Statement<'a> {
    fn from(sql: &'a Sql) -> Self {
        Self { sql, text: "", preparation: None, ago: Duration::ZERO }
    }
}

impl Begin for Statement<'_> {
    fn begin(&self, parent: &Entity) -> Subsegment {
        // Before anything is locked: it may take a while.
        let sanitized = self.sanitized(parent);
        let Inner { target, database_type, database_version, driver_version } = &*self.sql.0;
        let preparation = match self.preparation {
            Some(Preparation::Call) => "call",
            Some(Preparation::Statement) => "statement",
            None => "",
        };
        parent.begin_subsegment_ago(&target.name, self.ago, |tree, index| {
            if !self.sql.is_in_process() {
                tree.node_mut(index).namespace = Some(Namespace::Remote);
            }
            for (field, value) in [
                (SqlField::Url, &*target.url),
                (SqlField::ConnectionString, &target.connection_string),
                (SqlField::DatabaseType, database_type),
                (SqlField::DatabaseVersion, database_version),
                (SqlField::DriverVersion, driver_version),
                (SqlField::User, &target.user),
                (SqlField::Preparation, preparation),
                (SqlField::SanitizedQuery, &sanitized),
            ] {
                tree.add_sql(index, field, value);
            }
        })
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
    /// For queries that cannot be wrapped; [`capture_sql`] records their errors, too.
    pub fn begin_sql<'a>(&self, statement: impl Into<Statement<'a>>) -> Subsegment {
        statement.into().begin(self)
    }
}

pin_project! {
    /// A query whose error is recorded. See [`capture_sql`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct CaptureSql<'a, F: Future> {
        #[pin]
        inner: Within<F, Statement<'a>>,
        record: fn(&Sql, &Entity, &F::Output),
    }
}

impl<F: Future> Future for CaptureSql<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.inner.poll_with(cx, |statement, entity, output| (this.record)(statement.sql, entity, output))
    }
}
