//! Queries that are recorded while they run.
//!
//! In: a future or a closure that queries. Out: its result, and the subsegment of the query.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::Statement;
use crate::{
    call::{self, BeginCall, CallFuture},
    context::current,
    document::AsError,
};

/// Runs a query in a subsegment of the current entity; an `Err` becomes its fault and cause, and is passed on.
///
/// It is to a query what [`capture`](crate::capture) is to other work: with [`FutureExt::in_subsegment`] it shares when
/// the subsegment begins and closes, and how a panic and a dropped future are recorded.
///
/// The first argument is a [`Sql`] by reference, or [one with a statement](crate::Sql::statement).
///
/// [`Sql`]: crate::Sql
/// [`FutureExt::in_subsegment`]: crate::FutureExt::in_subsegment
pub fn capture_sql<'a, F, T, E, K>(statement: impl Into<Statement<'a>>, future: F) -> CaptureSql<'a, F>
where
    F: Future<Output = Result<T, E>>,
    E: AsError<K>,
{
    CaptureSql { inner: call::capture(statement.into(), future) }
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
    statement.into().begin_call(&current()).run_blocking(query)
}

pin_project! {
    /// A query whose error is recorded. See [`capture_sql`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct CaptureSql<'a, F: Future> {
        #[pin]
        inner: CallFuture<Statement<'a>, F>,
    }
}

impl<F: Future> Future for CaptureSql<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(cx)
    }
}
