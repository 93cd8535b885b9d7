//! The queue between the request path and the sending thread.
//!
//! In: documents as bytes, and requests to flush, of any thread. Out: batches for one thread, within a bound in bytes;
//! what does not fit, and what is left at the end, is counted. It does not know how documents are sent.

#[cfg(all(test, loom))]
mod models;

use std::{
    sync::{PoisonError, TryLockError},
    time::{Duration, Instant},
};

use super::{Flush, FlushDone, counters::Counters};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// The thread looks for new documents this often while there are some, and less and less often when there are none.
///
/// A model has no time, so that it sleeps at once there.
const FIRST_PAUSE: Duration = if cfg!(all(test, loom)) { Duration::MAX } else { Duration::from_millis(1) };
/// After a pause this long without a document it sleeps until it is woken.
const LAST_PAUSE: Duration = Duration::from_millis(64);

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    max_bytes: usize,
    /// The process that has the sending thread.
    process: u32,
    pub(super) counters: Counters,
}

#[derive(Debug, Default)]
struct State {
    documents: Batch,
    /// Bytes of the batch that the thread has taken and not sent yet: they count towards the bound.
    in_flight: usize,
    flushes: Vec<FlushRequest>,
    /// The deadline of the shutdown: what is left then is dropped.
    abandon_at: Option<Instant>,
    /// The thread sleeps without a time limit, and has to be woken.
    asleep: bool,
    closed: bool,
    /// The thread has ended, and answers no flush.
    ended: bool,
    /// Something other than a document has happened, and ends a wait for it.
    woken: bool,
}

/// Documents one after the other, and where each of them ends.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The document at this place, if there is one.
    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    /// Keeps memory for twice as much as it had; an empty one gives back that of a burst.
    fn clear(&mut self) {
        let (bytes, ends) = (self.bytes.len(), self.ends.len());
        self.bytes.clear();
        self.ends.clear();
        self.bytes.shrink_to((2 * bytes).max(1 << 18));
        self.ends.shrink_to((2 * ends).max(1 << 12));
    }
}

#[derive(Debug)]
pub(super) struct FlushRequest {
    pub(super) deadline: Instant,
    pub(super) done: FlushDone,
}

impl Queue {
    pub(super) fn new(max_bytes: usize) -> Self {
        let (process, counters) = (std::process::id(), Counters::default());
        Self { state: Mutex::default(), changed: Condvar::new(), max_bytes, process, counters }
    }

    /// Appends a document, or drops and counts it.
    pub(super) fn push(&self, document: &[u8]) {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) if self.is_forked() => return self.counters.shutdown(1),
            Err(TryLockError::WouldBlock) => self.lock(),
        };
        if state.closed {
            drop(state);
            self.counters.shutdown(1);
        } else if state.documents.bytes() + state.in_flight + document.len() > self.max_bytes {
            drop(state);
            self.counters.overflow(1);
        } else {
            state.documents.bytes.extend_from_slice(document);
            let end = state.documents.bytes();
            state.documents.ends.push(end);
            if std::mem::take(&mut state.asleep) {
                drop(state);
                self.changed.notify_one();
            }
        }
    }

    pub(super) fn request_flush(&self, deadline: Instant, close: bool) -> Flush {
        if self.is_forked() {
            return Flush::done(self.abandon_copy());
        }
        let (flush, done) = Flush::pending();
        let mut state = self.lock();
        if state.ended {
            return Flush::done(0);
        }
        if close {
            state.closed = true;
            state.abandon_at = Some(state.abandon_at.map_or(deadline, |earlier| earlier.min(deadline)));
        }
        state.flushes.push(FlushRequest { deadline, done });
        drop(state);
        self.wake();
        flush
    }

    pub(super) fn close(&self) {
        if !self.is_forked() {
            self.lock().closed = true;
            self.wake();
        }
    }

    /// Whether this is a copy in a forked child. The thread has not come along, and its lock may never open again.
    fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    /// Drops and counts what a copy of the queue holds; how much that was.
    fn abandon_copy(&self) -> usize {
        let Ok(mut state) = self.state.try_lock() else { return 0 };
        state.closed = true;
        let left = state.documents.len();
        state.documents.clear();
        self.counters.shutdown(left as u64);
        left
    }

    /// Wakes the thread for something other than a document.
    pub(super) fn wake(&self) {
        let mut state = self.lock();
        state.asleep = false;
        state.woken = true;
        drop(state);
        self.changed.notify_one();
    }

    /// The life of the thread: hands over batches, and the flushes that wait for them, until the queue is closed.
    pub(super) fn serve(&self, mut send: impl FnMut(&Batch, &mut Vec<FlushRequest>)) {
        struct End<'a>(&'a Queue);

        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.end();
            }
        }

        let _end = End(self);
        let mut batch = Batch::default();
        loop {
            let (mut flushes, closed) = self.next(&mut batch);
            send(&batch, &mut flushes);
            for flush in flushes {
                flush.done.finish(0);
            }
            if closed {
                return;
            }
        }
    }

    /// Waits until there is something to do, and swaps `batch` for what has gathered. True if that is the last.
    fn next(&self, batch: &mut Batch) -> (Vec<FlushRequest>, bool) {
        batch.clear();
        let mut state = self.lock();
        state.in_flight = 0;
        let mut pause = FIRST_PAUSE;
        while state.documents.len() == 0 && state.flushes.is_empty() && !state.closed {
            if pause <= LAST_PAUSE {
                state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
                pause *= 2;
            } else {
                batch.clear();
                state.documents.clear();
                state.asleep = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.asleep = false;
            }
        }
        std::mem::swap(&mut state.documents, batch);
        state.in_flight = batch.bytes();
        (std::mem::take(&mut state.flushes), state.closed)
    }

    /// The thread ends; what it leaves behind is counted.
    fn end(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.ended = true;
        let left = state.documents.len();
        state.documents.clear();
        let flushes = std::mem::take(&mut state.flushes);
        drop(state);
        self.counters.shutdown(left as u64);
        flushes.into_iter().for_each(|flush| flush.done.finish(left));
    }

    /// How full it is, up to 1, if the thread's batch has so many bytes left.
    pub(super) fn fill(&self, bytes_left: usize) -> f64 {
        (self.lock().documents.bytes.len() + bytes_left) as f64 / self.max_bytes as f64
    }

    /// Waits until something other than a document happens, at most until `deadline`.
    pub(super) fn wait_for_wake(&self, deadline: Instant) {
        let mut state = self.lock();
        while !std::mem::take(&mut state.woken) {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return;
            };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the flushes whose deadline has passed while `unsent` documents of the thread's batch remain.
    ///
    /// True if that of the shutdown has passed too: everything unsent is dropped and counted then.
    pub(super) fn checkpoint(&self, unsent: usize, flushes: &mut Vec<FlushRequest>) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let left = unsent + state.documents.len();
        let abandon = state.abandon_at.is_some_and(|at| now >= at);
        if abandon {
            state.documents.clear();
            self.counters.shutdown(left as u64);
        }
        let mut over = Vec::new();
        for list in [flushes, &mut state.flushes] {
            let expired = |flush: &FlushRequest| abandon || now >= flush.deadline;
            let (expired, pending) = std::mem::take(list).into_iter().partition::<Vec<_>, _>(expired);
            *list = pending;
            over.extend(expired);
        }
        // A thread that is woken may run at once, and emit.
        drop(state);
        over.into_iter().for_each(|flush| flush.done.finish(left));
        abandon
    }

    /// The next moment at which a [`checkpoint`](Self::checkpoint) has something to do.
    pub(super) fn next_deadline(&self, flushes: &[FlushRequest]) -> Option<Instant> {
        let state = self.lock();
        let deadlines = flushes.iter().chain(&state.flushes).map(|flush| flush.deadline);
        deadlines.chain(state.abandon_at).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
