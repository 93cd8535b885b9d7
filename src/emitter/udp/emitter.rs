//! The emitter, and what can be set about it.
//!
//! In: closed segments. Out: their JSON in the queue, in pieces if it is too large for a datagram.

use std::{cell::RefCell, fmt, io, sync::Arc, time::Instant};

use super::{connection::Connection, sender::Sender};
use crate::{
    document::{MAX_DEPTH, MAX_DOCUMENT, SegmentDocument},
    emitter::{Emitter, EmitterStats, Flush, queue::Queue, worker},
    transport::DaemonAddress,
};

/// What precedes the document in every datagram.
const HEADER: &[u8] = b"{\"format\":\"json\",\"version\":1}\n";

/// A thread's buffer that has grown beyond this is not kept.
const MAX_SCRATCH: usize = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Sends every document as a datagram of its own, from a thread of its own.
///
/// The queue in between is bounded in bytes; documents that do not fit are dropped and counted, and so is every other
/// loss ([`Dropped`](crate::emitter::Dropped)). Documents above 64,000 bytes are split. Datagrams leave in short bursts,
/// since a receiver with a default socket buffer would lose longer ones.
///
/// While the daemon's name has no address, the socket's buffer is full or the network is unreachable, the emitter retries
/// for about 1.6 seconds before it drops a document. A daemon that does not listen costs its documents at once.
///
/// Dropping the emitter lets the thread send what is queued and end; only [`shutdown`](Emitter::shutdown) waits for it.
///
/// Threads do not come along into a forked child, so its copy sends nothing: what is emitted there fills the queue, and
/// is dropped and counted at the latest by a flush. A child that is to be traced builds a recorder of its own.
pub struct UdpEmitter {
    queue: Arc<Queue>,
    max_document: usize,
}

impl UdpEmitter {
    /// Sends to the daemon's UDP address, with 4 MiB of queue.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started. A daemon that does not listen is not an error: it shows later, in the
    /// [statistics](Emitter::stats).
    pub fn new(address: DaemonAddress) -> io::Result<Self> {
        Self::builder(address).build()
    }

    /// Returns a builder with the same defaults.
    pub fn builder(address: DaemonAddress) -> UdpEmitterBuilder {
        UdpEmitterBuilder { address, max_queue: 4 << 20, max_document: MAX_DOCUMENT, offload: true }
    }
}

/// Adjusts a [`UdpEmitter`].
#[derive(Clone, Debug)]
#[must_use]
pub struct UdpEmitterBuilder {
    address: DaemonAddress,
    max_queue: usize,
    max_document: usize,
    offload: bool,
}

impl UdpEmitterBuilder {
    /// Bounds the queue, in bytes, with the documents that are being sent or retried. The default is 4 MiB; at least one
    /// document of the largest size fits.
    pub fn max_queue_bytes(mut self, bytes: usize) -> Self {
        self.max_queue = bytes.max(HEADER.len() + MAX_DOCUMENT);
        self
    }

    /// Bounds a document, in bytes, between 4,096 and 64,000, the default (X-Ray segment documents: 64 kB).
    ///
    /// Smaller ones suit a network that loses fragments.
    pub fn max_document_bytes(mut self, bytes: usize) -> Self {
        self.max_document = bytes.clamp(4096, MAX_DOCUMENT);
        self
    }

    /// Lets the kernel make several datagrams of one send, which takes a third of the time; on by default.
    ///
    /// Linux only (`UDP_SEGMENT`), and only where a try shows that it works. The datagrams of one send have to be of one
    /// length, so a document is followed by blanks up to the length of the longest, at most by an eighth of its own.
    pub fn segmentation_offload(mut self, allowed: bool) -> Self {
        self.offload = allowed;
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn build(self) -> io::Result<UdpEmitter> {
        let queue = Arc::new(Queue::new(self.max_queue));
        let connection = Connection::new(self.address.udp().clone(), self.offload, queue.clone());
        worker::start(queue.clone(), Sender::new(connection))?;
        Ok(UdpEmitter { queue, max_document: self.max_document })
    }
}

impl Emitter for UdpEmitter {
    fn emit(&self, document: SegmentDocument) {
        let mut scratch = SCRATCH.try_with(RefCell::take).unwrap_or_default();
        scratch.clear();
        scratch.extend_from_slice(HEADER);
        let depth = document.write(&mut scratch);
        if scratch.len() - HEADER.len() <= self.max_document && depth <= MAX_DEPTH {
            self.queue.push(&scratch);
        } else {
            let split = document.split(self.max_document);
            self.queue.counters.too_large(split.too_large);
            for part in split.documents {
                scratch.truncate(HEADER.len());
                scratch.extend_from_slice(part.as_bytes());
                self.queue.push(&scratch);
            }
        }
        if scratch.capacity() <= MAX_SCRATCH {
            // While the thread ends there is nowhere to keep it.
            let _ = SCRATCH.try_with(|kept| kept.replace(scratch));
        }
    }

    fn flush(&self, deadline: Instant) -> Flush {
        self.queue.request_flush(deadline, false)
    }

    fn shutdown(&self, deadline: Instant) -> Flush {
        self.queue.request_flush(deadline, true)
    }

    fn stats(&self) -> EmitterStats {
        self.queue.counters.stats()
    }
}

impl Drop for UdpEmitter {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for UdpEmitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpEmitter")
            .field("max_document", &self.max_document)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
