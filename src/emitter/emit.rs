//! The role of an emitter, which a program may play, too.
//!
//! In: closed segments, and deadlines. Out: what was left at a deadline, and what was sent so far.

use std::{sync::Arc, time::Instant};

use super::{EmitterStats, Flush};
use crate::document::SegmentDocument;

/// Sends, writes or keeps closed segments.
///
/// `emit` runs on the request path: it must not block. A panic in it is caught and counted
/// ([`Stats::emitter_panics`](crate::recorder::Stats::emitter_panics)). There is no current entity while it runs, so an
/// instrumented emitter records nothing of itself.
pub trait Emitter: Send + Sync {
    /// Sends, writes or keeps one document, or queues it to be sent.
    fn emit(&self, document: SegmentDocument);

    /// Sends what was emitted so far, until the deadline. Returns a future of the number of documents that were left.
    ///
    /// The default is for emitters that keep nothing back: it returns at once.
    fn flush(&self, deadline: Instant) -> Flush {
        let _ = deadline;
        Flush::done(0)
    }

    /// Flushes, and ends the emitter: what is left at the deadline, and what is emitted later, is dropped and counted.
    fn shutdown(&self, deadline: Instant) -> Flush {
        self.flush(deadline)
    }

    /// Returns how many documents were sent and dropped so far.
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
