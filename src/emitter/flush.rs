//! Waiting for an emitter, with or without an async runtime.
//!
//! In: the end of a flush, by the emitter's thread. Out: the number of documents that were left, to the program.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::sync::{Condvar, Mutex, MutexGuard};

/// A future that ends when an emitter has sent what it had, or at the deadline. Its output is the number of documents
/// that were left.
///
/// The emitter works whether or not this is polled. Any runtime will do; [`wait`](Self::wait) needs none.
#[must_use = "the emitter flushes by itself, but only waiting tells when it is done"]
pub struct Flush(Arc<Shared>);

/// Ends a [`Flush`]. Dropped without a result, it reports nothing left.
pub struct FlushDone(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    left: Option<usize>,
    waker: Option<Waker>,
}

impl Flush {
    /// Returns a flush that has ended.
    pub fn done(left: usize) -> Self {
        let (flush, done) = Self::pending();
        done.finish(left);
        flush
    }

    /// Returns a flush, and the handle that ends it.
    pub fn pending() -> (Self, FlushDone) {
        let shared = Arc::new(Shared::default());
        (Self(shared.clone()), FlushDone(shared))
    }

    /// Blocks the thread until the flush ends. Returns the number of documents that were left.
    pub fn wait(self) -> usize {
        let mut state = self.0.lock();
        loop {
            match state.left {
                Some(left) => return left,
                None => state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Future for Flush {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let mut state = self.0.lock();
        match state.left {
            Some(left) => Poll::Ready(left),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for Flush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flush").field("left", &self.0.lock().left).finish_non_exhaustive()
    }
}

impl FlushDone {
    /// Ends the flush; `left` documents were not sent.
    pub fn finish(self, left: usize) {
        self.0.end(left);
    }
}

impl fmt::Debug for FlushDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushDone").finish_non_exhaustive()
    }
}

impl Drop for FlushDone {
    fn drop(&mut self) {
        self.0.end(0);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, left: usize) {
        let mut state = self.lock();
        if state.left.is_none() {
            state.left = Some(left);
            let waker = state.waker.take();
            drop(state);
            self.changed.notify_all();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
