//! Work that is dropped, or panics, at any point.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use http_body::{Body, Frame};

/// Panics when it has been counted down.
#[derive(Clone)]
pub(crate) struct Fuse(Arc<AtomicI64>);

impl Fuse {
    pub(crate) fn new(steps: i64) -> Self {
        Self(Arc::new(AtomicI64::new(steps)))
    }

    /// One that lasts.
    pub(crate) fn none() -> Self {
        Self::new(-1)
    }

    pub(crate) fn step(&self) {
        assert_ne!(self.0.fetch_sub(1, Relaxed), 0, "the fuse has blown");
    }

    pub(crate) fn disarm(&self) {
        self.0.store(-1, Relaxed);
    }

    /// A part of what is traced, each poll of which is a step.
    pub(crate) async fn count<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.step();
            future.as_mut().poll(cx)
        })
        .await
    }

    /// A body that is traced, each poll of which is a step.
    pub(crate) fn count_body<B>(self, body: B) -> Counted<B> {
        Counted(Box::pin(body), self)
    }
}

/// A body each poll of which is a step.
pub(crate) struct Counted<B>(Pin<Box<B>>, Fuse);

impl<B: Body> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.1.step();
        self.0.as_mut().poll_frame(cx)
    }
}

/// Polls at most so often, and drops the rest; a panic is caught, and drops it, too.
pub(crate) async fn stopped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Some(Box::pin(future));
    let mut left = polls;
    poll_fn(|cx| {
        let Some(polled) = future.as_mut().filter(|_| left > 0) else {
            future = None;
            return Poll::Ready(None);
        };
        left -= 1;
        match catch_unwind(AssertUnwindSafe(|| polled.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => {
                future = None;
                Poll::Ready(None)
            }
        }
    })
    .await
}
