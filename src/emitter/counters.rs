//! Counts each document once: as emitted, or by the reason why it was dropped.
//!
//! In: numbers of documents, by any thread. Out: the statistics of an emitter.

use super::{Dropped, EmitterStats};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($reason:ident)*) => {
        /// How many documents were sent and dropped.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            emitted: AtomicU64,
            $($reason: AtomicU64,)*
        }

        impl Counters {
            pub(super) fn emitted(&self, count: u64) {
                self.emitted.fetch_add(count, Relaxed);
            }

            $(pub(super) fn $reason(&self, count: u64) {
                self.$reason.fetch_add(count, Relaxed);
            })*

            pub(super) fn stats(&self) -> EmitterStats {
                EmitterStats {
                    emitted: self.emitted.load(Relaxed),
                    dropped: Dropped { $($reason: self.$reason.load(Relaxed),)* },
                }
            }
        }
    };
}

counters!(overflow refused unresolved would_block too_large io shutdown);
