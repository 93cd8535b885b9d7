//! What the tests share: recorders that keep their documents, and the checker that every document has to pass.

use tower_xray::{
    Recorder, RecorderBuilder, document::SegmentDocument, emitter::InMemoryEmitter, local::check_document,
    sampling::SampleAll,
};

/// A recorder of everything that does not look at the process environment, and its documents.
pub(crate) fn recorder() -> (Recorder, Documents) {
    recorder_with(|builder| builder)
}

/// The same, adjusted.
pub(crate) fn recorder_with(adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder) -> (Recorder, Documents) {
    let emitter = InMemoryEmitter::new();
    let builder = Recorder::builder().environment(|_| None).emitter(emitter.clone()).sampling(SampleAll);
    (adjust(builder).build().unwrap(), Documents(emitter))
}

/// What a recorder has emitted.
#[derive(Clone)]
pub(crate) struct Documents(InMemoryEmitter);

impl Documents {
    /// All documents so far, checked.
    pub(crate) fn take(&self) -> Vec<SegmentDocument> {
        let documents = self.0.take();
        documents.iter().for_each(assert_valid);
        documents
    }

    /// The only document so far, checked.
    pub(crate) fn take_one(&self) -> SegmentDocument {
        let mut documents = self.take();
        assert_eq!(documents.len(), 1, "one document: {documents:?}");
        documents.remove(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Asserts that AWS's schema and the OpenTelemetry collector take a document.
pub(crate) fn assert_valid(document: &SegmentDocument) {
    assert_valid_json(&document.to_json());
}

pub(crate) fn assert_valid_json(json: &str) -> serde_json::Value {
    let value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let problems = check_document(&value);
    assert!(problems.is_empty(), "{problems:?}: {json}");
    value
}
