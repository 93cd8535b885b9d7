//! In: the documents of one trace, in any order. Out: one forest of entities, children under their parents.

use std::collections::HashMap;

use serde_json::Value;

use super::entity::{is_in_progress, start};
use super::trace::Trace;

/// The entities of a trace, as indices into `nodes`.
#[derive(Debug, Default)]
pub(crate) struct Forest<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) roots: Vec<usize>,
    by_id: HashMap<&'a str, usize>,
}

#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) entity: &'a Value,
    pub(crate) children: Vec<usize>,
    /// Any node of the same tree that is closer to its top; the top is its own.
    above: usize,
    is_attached: bool,
}

impl<'a> Forest<'a> {
    pub(crate) fn of(trace: &'a Trace) -> Self {
        let mut forest = Self::default();
        let mut tops = Vec::new();
        for document in trace.documents() {
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
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
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
