//! The end of entities: what has closed is handed to the emitter.
//!
//! In: entities that close, or are announced while they are open. Out: their documents, emitted where no entity is
//! current.

use super::{Entity, current::suspended, handle::State, recording::Recording};
use crate::document::SegmentDocument;

impl Entity {
    /// Tells X-Ray of the segment while it is still open, so that the trace shows it as running.
    ///
    /// For long responses, such as server-sent events. The document has what is known of the segment so far, without
    /// subsegments; the complete one has the same id and replaces it (X-Ray segment documents). It is sent once: further
    /// calls do nothing, as do those after the segment has closed, and where it is not to be sent (yet).
    ///
    /// It is a document like any other: queued, counted, and sent in the background.
    pub fn send_in_progress(&self) {
        if let State::Recorded { recording, .. } = &self.0 {
            recording.snapshot().into_iter().for_each(|document| emit(recording, document));
        }
    }

    pub(crate) fn close(&self) {
        if let State::Recorded { recording, index, id } = &self.0 {
            recording.close(*index, *id, |document| emit(recording, document));
        }
    }
}

fn emit(recording: &Recording, document: SegmentDocument) {
    let core = recording.core();
    if suspended(|| core.emit(document)).is_err() {
        core.count_emitter_panic();
    }
}
