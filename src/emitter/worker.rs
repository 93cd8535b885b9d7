//! The thread that sends what the queue holds.
//!
//! In: batches of the queue, and the deadlines of flushes and of the shutdown. Out: documents to a transport, which is
//! all that emitters with a queue differ in. What fails in a way that may pass is sent again.

#[cfg(all(test, loom))]
mod models;

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    counters::Counters,
    queue::{Batch, FlushRequest, Queue},
};

/// While the worker waits for the transport, it also looks by itself this often.
const LOOK_AFTER: Duration = Duration::from_secs(60);
/// The first retry waits this long, and each of the others twice as long as the one before. A model has no time.
const FIRST_BACKOFF: Duration = if cfg!(all(test, loom)) { Duration::ZERO } else { Duration::from_millis(50) };
/// Documents are sent again this often, within 1.6 seconds, unless others have been sent in between.
const MAX_RETRIES: u32 = if cfg!(all(test, loom)) { 1 } else { 5 };

/// Sends documents over one transport.
pub(super) trait Deliver {
    /// Whether nothing can be sent yet, as while a host name is being looked up. When that changes, the transport
    /// [wakes](Queue::wake) the queue.
    fn is_waiting(&mut self) -> bool {
        false
    }

    /// Sends as many documents as may leave at once, one at least, and does not block beyond the deadline. Counts each
    /// document that it takes, or puts it back. Returns how long to pause before the next call.
    fn deliver(&mut self, unsent: &mut Unsent<'_>, load: Load, counters: &Counters)
    -> Result<Option<Duration>, Failed>;
}

/// A failure that may pass: the first documents of those that are unsent have been put back because of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) documents: usize,
    pub(super) reason: Reason,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reason {
    Unresolved,
    WouldBlock,
    Io,
}

/// How fast documents have to leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// How full the queue is, up to 1.
    pub(super) fill: f64,
    /// When a flush or the shutdown ends.
    pub(super) deadline: Option<Instant>,
}

/// The documents of a batch that have neither been sent nor dropped.
#[derive(Debug)]
pub(super) struct Unsent<'a> {
    batch: &'a Batch,
    /// The place of the first one that has never been taken.
    next: usize,
    /// Those that were put back, the first one last.
    returned: Vec<&'a [u8]>,
    bytes: usize,
}

impl<'a> Unsent<'a> {
    fn new(batch: &'a Batch) -> Self {
        Self { batch, next: 0, returned: Vec::new(), bytes: batch.bytes() }
    }

    pub(super) fn len(&self) -> usize {
        self.batch.len() - self.next + self.returned.len()
    }

    /// Puts documents back, before all others.
    pub(super) fn put_back(&mut self, documents: &[&'a [u8]]) {
        self.bytes += documents.iter().map(|document| document.len()).sum::<usize>();
        self.returned.extend(documents.iter().rev());
    }
}

impl<'a> Iterator for Unsent<'a> {
    type Item = &'a [u8];

    /// Takes one document out.
    fn next(&mut self) -> Option<&'a [u8]> {
        let document = self.returned.pop().or_else(|| {
            let document = self.batch.get(self.next)?;
            self.next += 1;
            Some(document)
        })?;
        self.bytes -= document.len();
        Some(document)
    }
}

/// Starts the thread. It ends when the queue is closed and everything has been sent or dropped.
pub(super) fn start(queue: Arc<Queue>, mut transport: impl Deliver + Send + 'static) -> io::Result<()> {
    let work = move || queue.serve(|batch, flushes| send(&queue, &mut transport, batch, flushes));
    thread::Builder::new().name("xray-emitter".to_owned()).stack_size(256 * 1024).spawn(work).map(drop)
}

/// Sends a batch, unless the shutdown ends before.
///
/// Documents that have been sent again as often as they may be are dropped. Those behind them have one attempt each,
/// until one succeeds: what is wrong may be the matter of a single document.
fn send(queue: &Queue, transport: &mut impl Deliver, batch: &Batch, flushes: &mut Vec<FlushRequest>) {
    let mut unsent = Unsent::new(batch);
    let mut backoff = Backoff::default();
    while unsent.len() > 0 {
        let waiting = transport.is_waiting();
        // What was sent has been counted: the caller of a flush that ends here may look at the counters.
        if queue.checkpoint(unsent.len(), flushes) {
            return;
        }
        let deadline = queue.next_deadline(flushes);
        if waiting {
            queue.wait_for_wake(deadline.unwrap_or_else(|| Instant::now() + LOOK_AFTER));
            continue;
        }
        let before = unsent.len();
        let load = Load { fill: queue.fill(unsent.bytes), deadline };
        let delivered = transport.deliver(&mut unsent, load, &queue.counters);
        if unsent.len() < before {
            backoff = Backoff::default();
        }
        match delivered {
            Ok(None) => {}
            Ok(Some(pause)) => {
                #[expect(clippy::disallowed_methods, reason = "only this thread waits")]
                thread::sleep(pause);
            }
            Err(Failed { documents, reason }) => match backoff.next_wait() {
                Some(wait) if pause_until(Instant::now() + wait, queue, unsent.len(), flushes) => return,
                Some(_) => {}
                None => {
                    let dropped = unsent.by_ref().take(documents).count();
                    reason.count(&queue.counters, dropped as u64);
                }
            },
        }
    }
}

/// Waits, and ends the flushes whose deadline passes meanwhile.
///
/// True if the shutdown ends before: everything unsent has been dropped and counted then.
fn pause_until(moment: Instant, queue: &Queue, unsent: usize, flushes: &mut Vec<FlushRequest>) -> bool {
    loop {
        if queue.checkpoint(unsent, flushes) {
            return true;
        }
        if Instant::now() >= moment {
            return false;
        }
        queue.wait_for_wake(queue.next_deadline(flushes).map_or(moment, |deadline| deadline.min(moment)));
    }
}

/// How long the next retries wait.
#[derive(Debug, Default)]
struct Backoff {
    retries: u32,
}

impl Backoff {
    /// None if there are no more.
    fn next_wait(&mut self) -> Option<Duration> {
        let wait = (self.retries < MAX_RETRIES).then(|| FIRST_BACKOFF * (1 << self.retries))?;
        self.retries += 1;
        Some(wait)
    }
}

impl Reason {
    fn count(self, counters: &Counters, count: u64) {
        match self {
            Self::Unresolved => counters.unresolved(count),
            Self::WouldBlock => counters.would_block(count),
            Self::Io => counters.io(count),
        }
    }
}
