//! Emission: what happens to closed segments.
//!
//! In: [`SegmentDocument`]s. Out: datagrams to whatever listens for X-Ray documents ([`UdpEmitter`], the default), a
//! list in memory for tests ([`InMemoryEmitter`]), or lines of JSON ([`LogEmitter`]).
//!
//! ```
//! use std::time::Duration;
//! use tower_xray::{Recorder, emitter::{DaemonAddress, UdpEmitter}};
//!
//! let address: DaemonAddress = "127.0.0.1:2000".parse()?;
//! let recorder = Recorder::builder().emitter(UdpEmitter::new(address)?).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Customization
//!
//! Anything that can take a document without waiting is an [`Emitter`]. Documents of a bounded size are made by
//! [`SegmentDocument::split`].

mod flush;
mod in_memory;
mod log;
mod queue;
mod udp;

use std::{sync::Arc, time::Instant};

pub use self::{
    flush::{Flush, FlushDone},
    in_memory::InMemoryEmitter,
    log::LogEmitter,
    udp::{UdpEmitter, UdpEmitterBuilder},
};
use crate::document::SegmentDocument;
pub use crate::transport::{DaemonAddress, DaemonAddressError, Endpoint};

/// Takes closed segments.
///
/// `emit` runs on the request path: it must not block. A panic in it is caught and counted
/// ([`Stats::emitter_panics`](crate::recorder::Stats::emitter_panics)). There is no current entity meanwhile, so that an
/// emitter is no part of the traces that it sends.
pub trait Emitter: Send + Sync {
    /// Takes one document.
    fn emit(&self, document: SegmentDocument);

    /// Sends what was emitted so far, until the deadline; the future says how many documents were left.
    ///
    /// An emitter that keeps nothing back has nothing to do here.
    fn flush(&self, deadline: Instant) -> Flush {
        let _ = deadline;
        Flush::done(0)
    }

    /// The same, and takes nothing any more; what is left is dropped and counted.
    fn shutdown(&self, deadline: Instant) -> Flush {
        self.flush(deadline)
    }

    /// What became of the documents.
    fn stats(&self) -> EmitterStats {
        EmitterStats::default()
    }
}

macro_rules! impl_for_pointer {
    ($pointer:ident) => {
        impl<E: Emitter + ?Sized> Emitter for $pointer<E> {
            fn emit(&self, document: SegmentDocument) {
                (**self).emit(document);
            }

            fn flush(&self, deadline: Instant) -> Flush {
                (**self).flush(deadline)
            }

            fn shutdown(&self, deadline: Instant) -> Flush {
                (**self).shutdown(deadline)
            }

            fn stats(&self) -> EmitterStats {
                (**self).stats()
            }
        }
    };
}

impl_for_pointer!(Arc);
impl_for_pointer!(Box);

/// Counts documents since the emitter was made. A segment that was split counts once for each piece.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct EmitterStats {
    /// Handed over: to the socket, to the writer, or to the list in memory. A datagram has no receipt, so this says
    /// nothing about its arrival.
    pub emitted: u64,
    /// Dropped, by reason.
    pub dropped: Dropped,
}

/// Counts documents that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Dropped {
    /// The queue was full: its bound in bytes was reached.
    pub overflow: u64,
    /// Nobody listens at the daemon's address: the kernel said so.
    pub refused: u64,
    /// The daemon's host name has no address.
    pub unresolved: u64,
    /// The socket's buffer stayed full.
    pub would_block: u64,
    /// Too large for a datagram, even after everything was cut.
    pub too_large: u64,
    /// Any other error of the socket or the writer.
    pub io: u64,
    /// Emitted after the shutdown, or still queued at its deadline; or left in a forked child, which cannot send.
    pub shutdown: u64,
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let Self { overflow, refused, unresolved, would_block, too_large, io, shutdown } = *self;
        overflow + refused + unresolved + would_block + too_large + io + shutdown
    }
}
