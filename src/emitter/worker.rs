//! The thread that sends what the queue holds.
//!
//! In: batches of the queue, and the deadlines of flushes and of the shutdown. Out: documents to a transport, which is
//! all that emitters with a queue differ in.

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

/// A wait for the transport is looked after this often, although it is woken.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// Sends documents over one transport.
pub(super) trait Deliver {
    /// Whether nothing can be sent yet, as while a host name is being looked up. When that changes, the transport
    /// [wakes](Queue::wake) the queue.
    fn is_waiting(&mut self) -> bool {
        false
    }

    /// Sends as many documents as may leave at once. Each one that it takes is counted, or put back. Returns how long to
    /// pause before the next call.
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
fn send(queue: &Queue, transport: &mut impl Deliver, batch: &Batch, flushes: &mut Vec<FlushRequest>) {
    let mut unsent = Unsent::new(batch);
    while unsent.len() > 0 {
        let waiting = transport.is_waiting();
        // The thread that is told that a deadline is over may look at the counters.
        if queue.checkpoint(unsent.len(), flushes) {
            return;
        }
        let deadline = queue.next_deadline(flushes);
        if waiting {
            queue.wait_for_wake(deadline.unwrap_or_else(|| Instant::now() + LOOK_AFTER));
            continue;
        }
        let load = Load { fill: queue.fill(unsent.bytes), deadline };
        match transport.deliver(&mut unsent, load, &queue.counters) {
            Ok(None) => {}
            Ok(Some(pause)) => {
                #[expect(clippy::disallowed_methods, reason = "only this thread waits")]
                thread::sleep(pause);
            }
            Err(Failed { documents, reason }) => {
                let dropped = unsent.by_ref().take(documents).count();
                reason.count(&queue.counters, dropped as u64);
            }
        }
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
