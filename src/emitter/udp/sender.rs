//! Sends datagrams in bursts.
//!
//! In: documents, and how fast they have to leave. Out: datagrams in as few calls as possible, counted, and the pause
//! until the next burst.

use std::time::{Duration, Instant};

use super::{
    connection::{Connection, Outcome, Sent},
    gso,
};
use crate::emitter::{
    counters::Counters,
    worker::{Deliver, Failed, Load, Unsent},
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

    /// The pause after a burst. Close to a deadline, sending fast and perhaps losing some beats not sending at all.
    fn pause(self, left: usize, deadline: Option<Instant>) -> Option<Duration> {
        let bursts = left.div_ceil(self.datagrams) as u32 + 1;
        let affordable = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()) / (4 * bursts));
        let gap = affordable.map_or(self.gap, |affordable| self.gap.min(affordable));
        (gap >= HURRIED.gap).then_some(gap)
    }
}

/// Sends documents as datagrams.
#[derive(Debug)]
pub(super) struct Sender {
    connection: Connection,
    /// The burst that is not full yet; it may span batches.
    burst: Burst,
}

impl Sender {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, burst: Burst::default() }
    }

    /// Sends datagrams of similar size in one call where that is possible, and takes them away, up to the first failure
    /// that may pass.
    fn send(&mut self, datagrams: &mut Vec<&[u8]>, unconfirmed: &mut Unconfirmed<'_>) -> Result<(), Failed> {
        let now = Instant::now();
        while !datagrams.is_empty() {
            let (mut done, mut failed) = (0, None);
            'burst: for similar in gso::by_size(datagrams) {
                for group in similar.chunks(self.connection.max_per_call(gso::longest(similar))) {
                    let sent = self.connection.send(group, now);
                    unconfirmed.enter(sent, group.len() as u64);
                    match sent.outcome {
                        Outcome::NotInOneCall => break 'burst,
                        Outcome::Failed(reason) => {
                            failed = Some(Failed { documents: group.len(), reason });
                            break 'burst;
                        }
                        Outcome::Out | Outcome::Refused | Outcome::TooLarge => done += group.len(),
                    }
                }
            }
            datagrams.drain(..done);
            if let Some(failed) = failed {
                return Err(failed);
            }
        }
        Ok(())
    }
}

impl Deliver for Sender {
    /// Lets the first lookup of a host name end before anything is sent.
    fn is_waiting(&mut self) -> bool {
        self.connection.is_resolving(Instant::now())
    }

    fn deliver(
        &mut self,
        unsent: &mut Unsent<'_>,
        load: Load,
        counters: &Counters,
    ) -> Result<Option<Duration>, Failed> {
        let pacing = Pacing::at(load.fill);
        let mut datagrams = Vec::with_capacity(pacing.datagrams);
        let full = unsent.any(|datagram| {
            datagrams.push(datagram);
            self.burst.is_full_after(datagram.len(), pacing)
        });
        let mut unconfirmed = Unconfirmed { counters, count: 0 };
        let sent = self.send(&mut datagrams, &mut unconfirmed);
        unconfirmed.settle(self.connection.has_refused());
        unsent.put_back(&datagrams);
        if sent.is_err() {
            // A retry comes late enough for the receiver to have caught up.
            self.burst = Burst::default();
        }
        sent.map(|()| if full { pacing.pause(unsent.len(), load.deadline) } else { None })
    }
}

/// Counts datagrams. Whether those of a call were refused is known only after the next one, or when the kernel is asked.
struct Unconfirmed<'a> {
    counters: &'a Counters,
    count: u64,
}

impl Unconfirmed<'_> {
    fn enter(&mut self, sent: Sent, count: u64) {
        self.settle(sent.earlier_refused);
        match sent.outcome {
            Outcome::Out => self.count = count,
            Outcome::NotInOneCall | Outcome::Failed(_) => {}
            Outcome::Refused => self.counters.refused(count),
            Outcome::TooLarge => self.counters.too_large(count),
        }
    }

    fn settle(&mut self, refused: bool) {
        let count = std::mem::take(&mut self.count);
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
