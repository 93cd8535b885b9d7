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

mod capture;
mod connection_string;
mod database;
mod kind;
#[cfg(feature = "sqlparser")]
mod literals;
mod statement;

#[cfg(all(feature = "diesel", feature = "sqlparser"))]
pub(super) use self::literals::MAX_READ;
pub use self::{
    capture::{CaptureSql, capture_sql, capture_sql_blocking},
    database::Sql,
    statement::{Preparation, Statement},
};
