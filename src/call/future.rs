//! Futures that are calls.
//!
//! In: a future that calls another service. Out: the same future, with a call from its first poll to its end.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::Call;
use crate::{
    document::AsError,
    entity::Entity,
    future::{BeginWork, WorkFuture},
};

/// Begins a call, as part of an entity: a [`CallBuilder`](super::CallBuilder), a statement of an integration, or a call
/// that has begun already.
pub trait BeginCall {
    /// Begins the call; it is asked once.
    fn begin_call(&mut self, caller: &Entity) -> Call;
}

impl BeginCall for Call {
    fn begin_call(&mut self, _: &Entity) -> Call {
        std::mem::take(self)
    }
}

/// Runs a future as a call: an `Err` is recorded as [`Call::fail`] does, and passed on.
///
/// The call begins with the first poll, as part of the entity that is current where this function is called; where there
/// is none, of the one that is current at the first poll. A panic is recorded, and goes on. A future that is dropped
/// before its end was abandoned, as [`Call::cancel`] describes it.
///
/// ```
/// use tower_xray::call::{self, Call};
///
/// # async fn get(_: &str) -> Result<u64, std::io::Error> { Ok(1) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::io::Error> {
/// let stock = call::capture(Call::builder("cache.internal"), get("stock:42")).await?;
/// # Ok(())
/// # }
/// ```
pub fn capture<B, F, T, E, K>(call: B, future: F) -> CallFuture<B, F>
where
    B: BeginCall,
    F: Future<Output = Result<T, E>>,
    E: AsError<K>,
{
    CallFuture { inner: WorkFuture::new(future, call), end: Some(Call::end_with::<T, E, K>) }
}

/// Runs a future as a call, and ends the call by its output: [`capture`] for a client whose failures differ in class, or
/// whose output is not a `Result`.
///
/// `end` runs once, when the future has an output, whether the call is recorded or not. A call that it drops was
/// cancelled, so it ends the call in every case: [`Call::end`], [`Call::fail`], [`Call::fail_with`].
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use tower_xray::call::{self, Call, Class, Failure};
///
/// # async fn get(_: &str) -> Result<u64, Error> { Ok(1) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let stock = call::capture_with(Call::builder("cache.internal"), get("stock:42"), |call, result| match result {
///     Ok(_) => call.end(),
///     // A cache that does not have it has answered, as with a status of 404.
///     Err(error) if error.kind() == ErrorKind::NotFound => call.fail_with(|| Failure::of(error).class(Class::Error)),
///     Err(error) => call.fail_with(|| Failure::of(error).local()),
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
pub fn capture_with<B, F, D>(call: B, future: F, end: D) -> CallFuture<B, F, D>
where
    B: BeginCall,
    F: Future,
    D: FnOnce(Call, &F::Output),
{
    CallFuture { inner: WorkFuture::new(future, call), end: Some(end) }
}

impl Call {
    /// Runs a future as the rest of this call: [`capture`] for a call that has begun.
    pub fn run<F, T, E, K>(self, future: F) -> CallFuture<Self, F>
    where
        F: Future<Output = Result<T, E>>,
        E: AsError<K>,
    {
        capture(self, future)
    }

    /// Runs a future as the rest of this call, and ends it by its output: [`capture_with`] for a call that has begun.
    pub fn run_with<F, D>(self, future: F, end: D) -> CallFuture<Self, F, D>
    where
        F: Future,
        D: FnOnce(Self, &F::Output),
    {
        capture_with(self, future, end)
    }
}

pin_project! {
    /// A future that is a call. See [`capture`] and [`capture_with`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct CallFuture<B: BeginCall, F: Future, D = fn(Call, &<F as Future>::Output)> {
        #[pin]
        inner: WorkFuture<B, F>,
        // Taken when there is an output.
        end: Option<D>,
    }
}

impl<B: BeginCall, F: Future, D: FnOnce(Call, &F::Output)> Future for CallFuture<B, F, D> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.inner.poll_with(cx, |call, output| {
            if let Some(end) = this.end.take() {
                end(call, output);
            }
        })
    }
}

impl<B: BeginCall, F: Future, D> fmt::Debug for CallFuture<B, F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture").finish_non_exhaustive()
    }
}

impl<B: BeginCall> BeginWork for B {
    type Work = Call;

    fn begin(&mut self, parent: &Entity) -> Call {
        self.begin_call(parent)
    }
}
