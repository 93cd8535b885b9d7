//! The role of an emitter, which a program may play, too.
//!
//! In: closed segments, and deadlines. Out: what was left at a deadline, and what was sent so far.

use std::{sync::Arc, time::Instant};

use super::{EmitterStats, Flush};
use crate::document::SegmentDocument;

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
