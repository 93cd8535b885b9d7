//! The thread that sends what the queue holds.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    connection::{Connection, Sent},
    queue::{Counters, Datagrams, FlushRequest, Queue, Work},
};

/// Datagrams leave in trains with pauses in between, so that a receiver with a default socket buffer (208 KiB, counted
/// with the kernel's own overhead) can keep up even if it is busy with something else for a while.
#[derive(Clone, Copy)]
struct Pace {
    datagrams: usize,
    gap: Duration,
}

/// As long as the queue has room, a receiver may be busy for several trains.
const EASY: Pace = Pace { datagrams: 16, gap: Duration::from_millis(2) };
/// When the queue is filling up, it may be for the length of one.
const HURRIED: Pace = Pace { datagrams: 64, gap: Duration::from_micros(200) };
/// No train is longer than this, whatever its pace.
const MAX_TRAIN_BYTES: usize = 64 * 1024;

/// Sends until the queue is closed.
pub(super) fn run(queue: &Queue, mut connection: Connection) {
    struct End<'a>(&'a Queue);

    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }

    let _end = End(queue);
    let mut batch = Datagrams::default();
    let mut train = Train::default();
    loop {
        let Work { mut flushes, closed } = queue.next(&mut batch);
        let abandoned = wait_for_address(queue, &mut connection, &batch, &mut flushes);
        if !abandoned && !queue.checkpoint(batch.len(), &mut flushes) {
            send_all(queue, &mut connection, &batch, &mut train, &mut flushes);
        }
        for flush in flushes {
            flush.done.finish(0);
        }
        if closed {
            return;
        }
    }
}

/// Lets the first lookup of a host name end before anything is sent.
///
/// True if the shutdown cannot wait that long: everything is dropped and counted then.
fn wait_for_address(
    queue: &Queue,
    connection: &mut Connection,
    batch: &Datagrams,
    flushes: &mut Vec<FlushRequest>,
) -> bool {
    while batch.len() > 0 && connection.is_resolving(Instant::now()) {
        let deadline = queue.next_deadline(flushes);
        queue.wait_for_poke(deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(60)));
        if queue.checkpoint(batch.len(), flushes) {
            return true;
        }
    }
    false
}

fn send_all(
    queue: &Queue,
    connection: &mut Connection,
    batch: &Datagrams,
    train: &mut Train,
    flushes: &mut Vec<FlushRequest>,
) {
    let mut ledger = Ledger { counters: &queue.counters, unconfirmed: 0 };
    let mut pace = queue.pace();
    let mut now = Instant::now();
    for (position, datagram) in batch.iter().enumerate() {
        let sent = connection.send(datagram, now);
        ledger.enter(sent);
        if train.is_full_after(datagram.len(), pace) || sent == Sent::WouldBlock {
            let left = batch.len() - position - 1;
            if queue.checkpoint(left, flushes) {
                break;
            }
            pause(pace, left, queue.next_deadline(flushes));
            pace = queue.pace();
            now = Instant::now();
        }
    }
    ledger.settle(connection.has_refused());
}

/// Waits for the receiver. Close to a deadline, sending fast and perhaps losing some beats not sending at all.
fn pause(pace: Pace, left: usize, deadline: Option<Instant>) {
    let trains = left.div_ceil(pace.datagrams) as u32 + 1;
    let affordable = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()) / (4 * trains));
    let gap = affordable.map_or(pace.gap, |affordable| pace.gap.min(affordable));
    if gap >= HURRIED.gap {
        #[expect(clippy::disallowed_methods, reason = "only the sending thread waits")]
        thread::sleep(gap);
    }
}

impl Queue {
    fn pace(&self) -> Pace {
        if self.is_half_full() { HURRIED } else { EASY }
    }
}

/// Counts datagrams. Whether one was refused is known only after the next one, or when the kernel is asked.
struct Ledger<'a> {
    counters: &'a Counters,
    unconfirmed: u64,
}

impl Ledger<'_> {
    fn enter(&mut self, sent: Sent) {
        self.settle(sent == Sent::EarlierRefused);
        match sent {
            Sent::Yes | Sent::EarlierRefused => self.unconfirmed = 1,
            Sent::Refused => self.counters.refused(1),
            Sent::TooLarge => self.counters.too_large(1),
            Sent::Unresolved => self.counters.unresolved(1),
            Sent::WouldBlock => self.counters.would_block(1),
            Sent::Failed => self.counters.io(1),
        }
    }

    fn settle(&mut self, refused: bool) {
        let count = std::mem::take(&mut self.unconfirmed);
        if refused {
            self.counters.refused(count);
        } else {
            self.counters.emitted(count);
        }
    }
}

/// Datagrams that have left one after the other.
#[derive(Debug, Default)]
struct Train {
    datagrams: usize,
    bytes: usize,
}

impl Train {
    fn is_full_after(&mut self, len: usize, pace: Pace) -> bool {
        self.datagrams += 1;
        self.bytes += len;
        let full = self.datagrams >= pace.datagrams || self.bytes >= MAX_TRAIN_BYTES;
        if full {
            *self = Self::default();
        }
        full
    }
}
