//! Futures in the context of an entity.
//!
//! In: any future. Out: the same future, polled with its entity as the current one: wherever it is polled, also in a
//! task of its own.
//!
//! ```
//! use tower_xray::FutureExt;
//!
//! # async fn rebuild() {}
//! # async fn notify() {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! rebuild().in_subsegment("rebuild index").await;
//! tokio::spawn(notify().in_current_segment());
//! # }
//! ```

use std::{
    borrow::Cow,
    panic,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use crate::{
    context::current,
    document::AsError,
    entity::{Entity, Running, Work, current::enter},
};

/// Runs a future in a subsegment of the current entity; an `Err` becomes its fault and cause, and is passed on.
///
/// The error may be any [`Error`](std::error::Error), a `Box<dyn Error + Send + Sync>`, an `anyhow::Error` or the like.
/// For a future whose output is no `Result`, see [`FutureExt::in_subsegment`].
///
/// ```
/// # async fn charge() -> Result<u32, std::io::Error> { Ok(1) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::io::Error> {
/// let receipt = tower_xray::capture("charge-card", async {
///     tower_xray::current().add_annotation("tier", "gold");
///     charge().await
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
pub fn capture<F, T, E, K>(name: impl Into<Cow<'static, str>>, future: F) -> CaptureFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: AsError<K>,
{
    CaptureFuture { inner: WorkFuture::new(future, name.into()), end: Running::end_with::<T, E, K> }
}

/// Runs futures in the context of an entity.
pub trait FutureExt: Future + Sized {
    /// Runs it in a subsegment of the entity that is current now (or at its first poll, if there is none now), from its
    /// first poll to its end.
    ///
    /// A panic is recorded as the subsegment's fault, and goes on. A future that is dropped before its end, as by a
    /// timeout or by `select!`, leaves the annotation `cancelled`: that is no error by itself.
    fn in_subsegment(self, name: impl Into<Cow<'static, str>>) -> InSubsegment<Self> {
        InSubsegment { inner: WorkFuture::new(self, name.into()) }
    }

    /// Runs it as part of the entity that is current now: for `tokio::spawn` and the like.
    fn in_current_segment(self) -> InEntity<Self> {
        InEntity { future: self, entity: current() }
    }

    /// Runs it as part of this entity; a reference to a [`Segment`](crate::Segment) will do, too.
    fn in_entity(self, entity: &Entity) -> InEntity<Self> {
        InEntity { future: self, entity: entity.clone() }
    }
}

impl<F: Future> FutureExt for F {}

pin_project! {
    /// A future that is part of an entity. See [`FutureExt::in_entity`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct InEntity<F> {
        #[pin]
        future: F,
        entity: Entity,
    }
}

impl<F: Future> Future for InEntity<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        enter(this.entity, || this.future.poll(cx)).unwrap_or_else(|panic| panic::resume_unwind(panic))
    }
}

pin_project! {
    /// A future with a subsegment of its own. See [`FutureExt::in_subsegment`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct InSubsegment<F> {
        #[pin]
        inner: WorkFuture<Cow<'static, str>, F>,
    }
}

impl<F: Future> Future for InSubsegment<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll_with(cx, |mut work, _| drop(work.end()))
    }
}

pin_project! {
    /// A future whose error is recorded. See [`capture`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are polled"]
    pub struct CaptureFuture<F: Future> {
        #[pin]
        inner: WorkFuture<Cow<'static, str>, F>,
        end: fn(Running, &F::Output),
    }
}

impl<F: Future> Future for CaptureFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.inner.poll_with(cx, *this.end)
    }
}

/// Begins the work that a future does.
pub(crate) trait BeginWork {
    type Work: Default + Work;

    /// Begins it as part of this entity; it is asked once.
    fn begin(&mut self, parent: &Entity) -> Self::Work;
}

impl BeginWork for Cow<'static, str> {
    type Work = Running;

    fn begin(&mut self, parent: &Entity) -> Running {
        Running::new(parent.begin_subsegment(self))
    }
}

pin_project! {
    /// A future that is work with a subsegment, from its first poll to its end.
    #[derive(Debug)]
    pub(crate) struct WorkFuture<B: BeginWork, F> {
        // Dropped first: what it drops is part of the work.
        #[pin]
        future: F,
        begin: B,
        work: Option<B::Work>,
        parent: Entity,
    }
}

impl<B: BeginWork, F: Future> WorkFuture<B, F> {
    /// A part of the entity that is current now, or at its first poll.
    pub(crate) fn new(future: F, begin: B) -> Self {
        Self { future, begin, work: None, parent: current() }
    }

    /// Polls, and ends the work as its output says.
    pub(crate) fn poll_with(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        end: impl FnOnce(B::Work, &F::Output),
    ) -> Poll<F::Output> {
        let this = self.project();
        let work = this.work.get_or_insert_with(|| {
            // The task that polls may know more than the one that has built the future.
            if this.parent.is_none() { this.begin.begin(&current()) } else { this.begin.begin(this.parent) }
        });
        let output = ready!(work.enter(|| this.future.poll(cx)));
        // What is left in its place has ended, so that another poll begins nothing.
        end(std::mem::take(work), &output);
        Poll::Ready(output)
    }
}
