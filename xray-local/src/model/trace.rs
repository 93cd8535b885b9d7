//! In: documents. Out: traces: the documents with one trace id each, in order.

use std::collections::HashMap;

use serde_json::Value;

use crate::text;

/// The documents of one trace.
///
/// [`render`](Self::render) draws them as a tree. Equal documents in equal order give equal traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    id: String,
    documents: Vec<Value>,
}

impl Trace {
    pub(crate) fn new(id: String, documents: Vec<Value>) -> Self {
        Self { id, documents }
    }

    /// Groups documents by their trace id, in order of first appearance.
    ///
    /// Documents without a trace id come last, in a trace whose id is empty.
    #[must_use]
    pub fn group(documents: impl IntoIterator<Item = Value>) -> Vec<Self> {
        let mut traces: Vec<Self> = Vec::new();
        let mut places = HashMap::new();
        let mut lost = Vec::new();
        for document in documents {
            let Some(id) = document.get("trace_id").and_then(Value::as_str) else {
                lost.push(document);
                continue;
            };
            let place = *places.entry(id.to_ascii_lowercase()).or_insert(traces.len());
            if place == traces.len() {
                traces.push(Self::new(id.to_ascii_lowercase(), Vec::new()));
            }
            traces[place].documents.push(document);
        }
        if !lost.is_empty() {
            traces.push(Self::new(String::new(), lost));
        }
        traces
    }

    /// Returns the trace id, in lower case.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the documents in order of arrival; a complete one stands where the one in progress stood.
    #[must_use]
    pub fn documents(&self) -> &[Value] {
        &self.documents
    }

    /// Writes each document as JSON on a line of its own, with control characters and text direction escaped.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let line = |document: &Value| text::escape_json(&document.to_string()) + "\n";
        self.documents.iter().map(line).collect()
    }
}
