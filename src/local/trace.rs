//! In: the documents of one trace, in any order. Out: one forest of entities, children under their parents.

use std::collections::HashMap;

use serde_json::Value;

use super::options::RenderOptions;
use super::{render, text};

/// The documents of one trace.
///
/// [`render`](Self::render) draws them as a tree. Equal documents in equal order give equal traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    id: String,
    documents: Vec<Value>,
}

impl Trace {
    pub(super) fn new(id: String, documents: Vec<Value>) -> Self {
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

    /// The trace id, in lower case.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The documents in order of arrival; a complete one stands where the one in progress stood.
    #[must_use]
    pub fn documents(&self) -> &[Value] {
        &self.documents
    }

    /// Draws the trace as a tree: a line of summary, then a line or more per entity.
    #[must_use]
    pub fn render(&self, options: &RenderOptions) -> String {
        render::render(self, options)
    }

    /// Each document as JSON on a line of its own, with nothing in it that a terminal would obey.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let line = |document: &Value| text::escape_json(&document.to_string()) + "\n";
        self.documents.iter().map(line).collect()
    }
}

/// The entities of a trace, as indices into `nodes`.
#[derive(Debug, Default)]
pub(super) struct Forest<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) roots: Vec<usize>,
    by_id: HashMap<&'a str, usize>,
}

#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) entity: &'a Value,
    pub(super) children: Vec<usize>,
    /// Any node of the same tree that is closer to its top; the top is its own.
    above: usize,
    is_attached: bool,
}

impl<'a> Forest<'a> {
    pub(super) fn of(trace: &'a Trace) -> Self {
        let mut forest = Self::default();
        let mut tops = Vec::new();
        for document in &trace.documents {
            let top = forest.add(document, None);
            tops.push((top, document));
            let mut todo = vec![(document, top)];
            while let Some((entity, parent)) = todo.pop() {
                let children = entity.get("subsegments").and_then(Value::as_array);
                for child in children.into_iter().flatten() {
                    todo.push((child, forest.add(child, Some(parent))));
                }
            }
        }
        for (top, document) in tops {
            let parent = document.get("parent_id").and_then(Value::as_str);
            if let Some(parent) = parent.and_then(|id| forest.find(id)) {
                forest.attach(top, parent);
            }
        }
        forest.roots = (0..forest.nodes.len()).filter(|node| !forest.nodes[*node].is_attached).collect();
        forest.sort();
        forest
    }

    /// The node of an entity, by its id.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Adds an entity, or joins it with the one of the same id.
    fn add(&mut self, entity: &'a Value, parent: Option<usize>) -> usize {
        let id = entity.get("id").and_then(Value::as_str);
        let known = id.and_then(|id| self.find(id));
        let node = known.unwrap_or(self.nodes.len());
        if known.is_none() {
            self.nodes.push(Node { entity, children: Vec::new(), above: node, is_attached: false });
            self.by_id.extend(id.map(|id| (id, node)));
        } else if is_in_progress(self.nodes[node].entity) || !is_in_progress(entity) {
            self.nodes[node].entity = entity;
        }
        if let Some(parent) = parent {
            self.attach(node, parent);
        }
        node
    }

    /// Puts a tree under a node, unless that node is in this very tree.
    fn attach(&mut self, node: usize, parent: usize) {
        if self.nodes[node].is_attached || self.top(parent) == node {
            return;
        }
        self.nodes[node].is_attached = true;
        self.nodes[node].above = parent;
        self.nodes[parent].children.push(node);
    }

    fn top(&mut self, mut node: usize) -> usize {
        while self.nodes[node].above != node {
            let above = self.nodes[node].above;
            // Halves the way for the next one, so that long chains cost little.
            self.nodes[node].above = self.nodes[above].above;
            node = above;
        }
        node
    }

    fn sort(&mut self) {
        let starts: Vec<f64> = self.nodes.iter().map(|node| start(node.entity).unwrap_or_default()).collect();
        let by_start = |a: &usize, b: &usize| starts[*a].total_cmp(&starts[*b]);
        self.roots.sort_by(by_start);
        for node in &mut self.nodes {
            node.children.sort_by(by_start);
        }
    }
}

pub(super) fn is_in_progress(entity: &Value) -> bool {
    entity.get("in_progress") == Some(&Value::Bool(true)) && entity.get("end_time").is_none()
}

pub(super) fn start(entity: &Value) -> Option<f64> {
    entity.get("start_time").and_then(Value::as_f64)
}

pub(super) fn end(entity: &Value) -> Option<f64> {
    entity.get("end_time").and_then(Value::as_f64)
}
