//! A list in memory, for the tests of a user.
//!
//! In: closed segments. Out: the same, when the test takes them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Emitter, EmitterStats};
use crate::document::SegmentDocument;

/// Keeps documents until they are taken. Clones share one list.
///
/// A segment is there when its response's body has been read to its end, or dropped.
///
/// ```
/// use tower_xray::{Recorder, emitter::InMemoryEmitter, sampling::SampleAll};
///
/// let emitter = InMemoryEmitter::new();
/// let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll).build()?;
/// recorder.begin_segment("nightly-report").close();
///
/// let [segment] = &emitter.take()[..] else { panic!("one segment") };
/// assert_eq!(segment.name(), "nightly-report");
/// # Ok::<(), tower_xray::recorder::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct InMemoryEmitter(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    documents: Vec<SegmentDocument>,
    stats: EmitterStats,
}

impl InMemoryEmitter {
    /// At most this many documents are kept; later ones are dropped and counted as overflow.
    pub const CAPACITY: usize = 1_000_000;

    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the documents that have been emitted, in their order.
    #[must_use]
    pub fn take(&self) -> Vec<SegmentDocument> {
        std::mem::take(&mut self.list().documents)
    }

    /// How many documents are in the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list().documents.len()
    }

    /// Whether nothing has been emitted since the last [`take`](Self::take).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Emitter for InMemoryEmitter {
    fn emit(&self, document: SegmentDocument) {
        let mut list = self.list();
        if list.documents.len() < Self::CAPACITY {
            list.documents.push(document);
            list.stats.emitted += 1;
        } else {
            list.stats.dropped.overflow += 1;
        }
    }

    fn stats(&self) -> EmitterStats {
        self.list().stats
    }
}
