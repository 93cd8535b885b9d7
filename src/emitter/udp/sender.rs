//! The thread that sends what the queue holds.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    connection::{Connection, Outcome, Sent},
    gso,
};
use crate::emitter::{
    counters::Counters,
    queue::{Batch, FlushRequest, Queue},
};

/// Datagrams leave in bursts with pauses in between, so that a receiver with a default socket buffer (208 KiB, counted
/// with the kernel's own overhead) can keep up even if it is busy with something else for a while.
#[derive(Clone, Copy)]
struct Pacing {
    datagrams: usize,
    gap: Duration,
}

/// While the queue is empty, a receiver may be busy for several bursts.
const EASY: Pacing = Pacing { datagrams: 16, gap: Duration::from_millis(2) };
/// When the queue is half full, it may be for the length of one. What lies in between follows the load, so that no burst
/// is faster than it has to be.
const HURRIED: Pacing = Pacing { datagrams: 64, gap: Duration::from_micros(200) };
/// No burst is longer than this, whatever its pacing.
const MAX_BURST_BYTES: usize = 64 * 1024;

impl Pacing {
    /// The pacing for a queue of which this share is full.
    fn at(fill: f64) -> Self {
        let hurry = (2.0 * fill).min(1.0);
        Self {
            datagrams: EASY.datagrams + ((HURRIED.datagrams - EASY.datagrams) as f64 * hurry) as usize,
            gap: EASY.gap - (EASY.gap - HURRIED.gap).mul_f64(hurry),
        }
    }
}

/// Sends until the queue is closed.
pub(super) fn run(queue: &Queue, mut connection: Connection) {
    let mut burst = Burst::default();
    queue.serve(|batch, flushes| {
        let abandoned = wait_for_address(queue, &mut connection, batch, flushes);
        if !abandoned && !queue.checkpoint(batch.len(), flushes) {
            send_all(queue, &mut connection, batch, &mut burst, flushes);
        }
    });
}

/// Lets the first lookup of a host name end before anything is sent.
///
/// True if the shutdown cannot wait that long: everything is dropped and counted then.
fn wait_for_address(
    queue: &Queue,
    connection: &mut Connection,
    batch: &Batch,
    flushes: &mut Vec<FlushRequest>,
) -> bool {
    while batch.len() > 0 && connection.is_resolving(Instant::now()) {
        let deadline = queue.next_deadline(flushes);
        queue.wait_for_wake(deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(60)));
        if queue.checkpoint(batch.len(), flushes) {
            return true;
        }
    }
    false
}

fn send_all(
    queue: &Queue,
    connection: &mut Connection,
    batch: &Batch,
    burst: &mut Burst,
    flushes: &mut Vec<FlushRequest>,
) {
    let mut unconfirmed = Unconfirmed { counters: &queue.counters, unconfirmed: 0 };
    let mut datagrams = batch.iter();
    let (mut left, mut bytes_left) = (batch.len(), batch.bytes());
    let mut next = Vec::with_capacity(HURRIED.datagrams);
    while left > 0 {
        let pacing = Pacing::at(queue.fill(bytes_left));
        let full = next.is_empty() && fill(&mut next, &mut datagrams, burst, pacing);
        for datagram in send_burst(connection, &mut next, &mut unconfirmed) {
            left -= 1;
            bytes_left -= datagram.len();
        }
        if full || !next.is_empty() {
            // Whoever is told that the deadline is over may look at the counters.
            unconfirmed.settle(connection.has_refused());
            if queue.checkpoint(left, flushes) {
                break;
            }
            pause(pacing, left, queue.next_deadline(flushes));
        }
    }
    unconfirmed.settle(connection.has_refused());
}

/// True if there are as many as may leave before a pause.
fn fill<'a>(
    next: &mut Vec<&'a [u8]>,
    datagrams: &mut impl Iterator<Item = &'a [u8]>,
    burst: &mut Burst,
    pacing: Pacing,
) -> bool {
    datagrams.any(|datagram| {
        next.push(datagram);
        burst.is_full_after(datagram.len(), pacing)
    })
}

/// Sends those of similar size together, until the socket's buffer is full, and takes them away.
fn send_burst<'a, 'b>(
    connection: &mut Connection,
    next: &'a mut Vec<&'b [u8]>,
    unconfirmed: &mut Unconfirmed<'_>,
) -> impl Iterator<Item = &'b [u8]> + use<'a, 'b> {
    let now = Instant::now();
    let mut done = 0;
    'burst: for similar in gso::by_size(next) {
        for group in similar.chunks(connection.max_per_call(gso::longest(similar))) {
            let sent = connection.send(group, now);
            unconfirmed.enter(sent, group.len() as u64);
            if sent.outcome == Outcome::NotInOneCall {
                break 'burst;
            }
            done += group.len();
            if sent.outcome == Outcome::WouldBlock {
                break 'burst;
            }
        }
    }
    next.drain(..done)
}

/// Waits for the receiver. Close to a deadline, sending fast and perhaps losing some beats not sending at all.
fn pause(pacing: Pacing, left: usize, deadline: Option<Instant>) {
    let bursts = left.div_ceil(pacing.datagrams) as u32 + 1;
    let affordable = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()) / (4 * bursts));
    let gap = affordable.map_or(pacing.gap, |affordable| pacing.gap.min(affordable));
    if gap >= HURRIED.gap {
        #[expect(clippy::disallowed_methods, reason = "only the sending thread waits")]
        thread::sleep(gap);
    }
}

/// Counts datagrams. Whether those of a call were refused is known only after the next one, or when the kernel is asked.
struct Unconfirmed<'a> {
    counters: &'a Counters,
    unconfirmed: u64,
}

impl Unconfirmed<'_> {
    fn enter(&mut self, sent: Sent, count: u64) {
        self.settle(sent.earlier_refused);
        match sent.outcome {
            Outcome::Out => self.unconfirmed = count,
            Outcome::NotInOneCall => {}
            Outcome::Refused => self.counters.refused(count),
            Outcome::TooLarge => self.counters.too_large(count),
            Outcome::Unresolved => self.counters.unresolved(count),
            Outcome::WouldBlock => self.counters.would_block(count),
            Outcome::Failed => self.counters.io(count),
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
struct Burst {
    datagrams: usize,
    bytes: usize,
}

impl Burst {
    fn is_full_after(&mut self, len: usize, pacing: Pacing) -> bool {
        self.datagrams += 1;
        self.bytes += len;
        let full = self.datagrams >= pacing.datagrams || self.bytes >= MAX_BURST_BYTES;
        if full {
            *self = Self::default();
        }
        full
    }
}
