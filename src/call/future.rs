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
    CallFuture { inner: WorkFuture::new(future, call), end: Call::end_with::<T, E, K> }
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
}

pin_project! {
    /// A future that is a call. See [`capture`].
    #[must_use = "futures do nothing unless they are polled"]
    pub struct CallFuture<B: BeginCall, F: Future> {
        #[pin]
        inner: WorkFuture<B, F>,
        end: fn(Call, &F::Output),
    }
}

impl<B: BeginCall, F: Future> Future for CallFuture<B, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.inner.poll_with(cx, *this.end)
    }
}

impl<B: BeginCall, F: Future> fmt::Debug for CallFuture<B, F> {
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
