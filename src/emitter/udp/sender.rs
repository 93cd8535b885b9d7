//! The thread that sends what the queue holds.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    connection::{Connection, Sent},
    queue::{Datagrams, FlushRequest, Queue, Work},
};

/// A receiver with a default socket buffer (208 KiB, counted with the kernel's own overhead) takes several trains this
/// long while it is busy with something else.
const TRAIN_DATAGRAMS: usize = 16;
const TRAIN_BYTES: usize = 64 * 1024;
/// The pause after a train, as long as the queue has room: a receiver may be busy for several of them.
const GAP: Duration = Duration::from_millis(2);
/// The pause when the queue is filling up.
const SHORT_GAP: Duration = Duration::from_micros(200);

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
    let counters = &queue.counters;
    for (position, datagram) in batch.iter().enumerate() {
        let sent = connection.send(datagram);
        match sent {
            Sent::Yes => counters.emitted(1),
            Sent::EarlierRefused | Sent::Refused => counters.refused(1),
            Sent::TooLarge => counters.too_large(1),
            Sent::Unresolved => counters.unresolved(1),
            Sent::WouldBlock => counters.would_block(1),
            Sent::Failed => counters.io(1),
        }
        if train.is_full_after(datagram.len()) || sent == Sent::WouldBlock {
            if queue.checkpoint(batch.len() - position - 1, flushes) {
                return;
            }
            let gap = if queue.is_half_full() { SHORT_GAP } else { GAP };
            // Close to a deadline, sending fast and perhaps losing some beats not sending at all.
            let left = (batch.len() - position).div_ceil(TRAIN_DATAGRAMS) as u32;
            let deadline = queue.next_deadline(flushes);
            let hurry = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()) / (4 * left));
            let gap = hurry.map_or(gap, |hurry| gap.min(hurry));
            if gap >= SHORT_GAP {
                #[expect(clippy::disallowed_methods, reason = "only the sending thread waits")]
                thread::sleep(gap);
            }
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
    fn is_full_after(&mut self, len: usize) -> bool {
        self.datagrams += 1;
        self.bytes += len;
        let full = self.datagrams >= TRAIN_DATAGRAMS || self.bytes >= TRAIN_BYTES;
        if full {
            *self = Self::default();
        }
        full
    }
}
