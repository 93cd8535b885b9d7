//! Parts of a tree that leave it: a closed entity with what is closed below it, or what has piled up.
//!
//! In: a tree, and which of its entities has closed. Out: trees of their own, and whether the first has room for more.

use super::{
    arena::Tree,
    node::{Attribute, Detail, Http, Index, NONE, Node, Scalar, State, Text},
};
use crate::document::limits::MAX_DOCUMENT;

/// Bounds of what is kept for one segment that has not closed yet.
const MAX_TEXT: usize = 4 << 20;
const MAX_ATTRIBUTES: usize = 1 << 16;

impl Tree {
    /// Moves a closed entity and all that is closed below it to a tree of their own. What is open below it stays, and
    /// will be sent by itself.
    pub(crate) fn detach(&mut self, index: Index) -> Self {
        if index == 0 && self.is_complete() {
            return std::mem::replace(self, Self { vacant: NONE, ..Self::default() });
        }
        let mut detached = Self::take();
        let mut pending = vec![(index, NONE)];
        while let Some((source, parent)) = pending.pop() {
            let node = *self.node(source);
            if node.state == State::Open {
                let node = self.node_mut(source);
                node.parent = NONE;
                node.next_sibling = NONE;
                continue;
            }
            let copy = detached.adopt(self, &node, parent);
            let children = pending.len();
            pending.extend(self.children(source).map(|child| (child, copy)));
            pending[children..].reverse();
            self.vacate(source);
        }
        if self.open == 0 {
            self.clear();
        }
        detached
    }

    /// A copy of an entity as it is so far, without its children.
    pub(crate) fn snapshot(&self, index: Index) -> Self {
        let mut copy = Self::take();
        copy.adopt(self, self.node(index), NONE);
        copy
    }

    /// Whether more can be said about the entities here; a tree without bounds would be memory without bounds.
    pub(crate) fn has_room(&mut self) -> bool {
        let has_room = |tree: &Self| tree.text.len() < MAX_TEXT && tree.attributes.len() < MAX_ATTRIBUTES;
        if !has_room(self) && self.weight() > self.rewritten + MAX_DOCUMENT {
            self.compact();
        }
        has_room(self)
    }

    /// Detaches what has completed once it would fill a document, so that a long-lived tree does not grow.
    pub(crate) fn detach_excess(&mut self) -> Vec<Self> {
        if self.weight() <= MAX_DOCUMENT.max(2 * self.rewritten) {
            return Vec::new();
        }
        // What has left already, or was replaced, does not count.
        self.compact();
        if self.weight() > MAX_DOCUMENT { self.detach_completed(MAX_DOCUMENT / 2) } else { Vec::new() }
    }

    /// Detaches closed entities whose parents are open until about `weight` is left.
    fn detach_completed(&mut self, weight: usize) -> Vec<Self> {
        let mut excess = self.weight().saturating_sub(weight);
        let mut completed = Vec::new();
        for parent in 0..self.nodes.len() as Index {
            if excess == 0 {
                break;
            }
            if self.node(parent).state != State::Open {
                continue;
            }
            let mut kept = Vec::new();
            for child in self.children(parent).collect::<Vec<_>>() {
                if excess == 0 || self.node(child).state == State::Open {
                    kept.push(child);
                } else {
                    let detached = self.detach(child);
                    excess = excess.saturating_sub(detached.weight());
                    completed.push(detached);
                }
            }
            self.relink(parent, &kept);
        }
        self.compact();
        completed
    }

    /// Whether no entity of the tree is open.
    fn is_complete(&self) -> bool {
        self.open == 0 && self.vacancies == 0
    }

    fn relink(&mut self, parent: Index, children: &[Index]) {
        for (position, child) in children.iter().enumerate() {
            self.node_mut(*child).next_sibling = children.get(position + 1).copied().unwrap_or(NONE);
        }
        let node = self.node_mut(parent);
        node.first_child = children.first().copied().unwrap_or(NONE);
        node.last_child = children.last().copied().unwrap_or(NONE);
    }

    /// Copies a node with its attributes and text, without its children.
    fn adopt(&mut self, from: &Self, node: &Node, parent: Index) -> Index {
        let mut copy = *node;
        self.copy_text(from, &mut copy);
        copy.parent = parent;
        copy.first_child = NONE;
        copy.last_child = NONE;
        copy.next_sibling = NONE;
        self.open += u32::from(copy.state == State::Open);
        self.insert(copy)
    }

    /// Copies the text and the attributes of a node that `copy` still refers to in `from`.
    fn copy_text(&mut self, from: &Self, copy: &mut Node) {
        let mut place = copy.first_attribute;
        copy.first_attribute = NONE;
        copy.last_attribute = NONE;
        let Http { method, url, user_agent, client_ip, .. } = &mut copy.http;
        for text in [&mut copy.name, &mut copy.user, method, url, user_agent, client_ip] {
            *text = self.write(from.str(*text));
        }
        while place != NONE {
            let Attribute { next, node, mut detail } = from.attributes[place as usize];
            let texts: [Option<&mut Text>; 3] = match &mut detail {
                Detail::Annotation { key, value: Scalar::Text(value) }
                | Detail::Aws { key, value: Scalar::Text(value) } => [Some(key), Some(value), None],
                Detail::Annotation { key, .. } | Detail::Aws { key, .. } => [Some(key), None, None],
                Detail::CauseReference(_) | Detail::Link { .. } => [None, None, None],
                Detail::Exception { kind, message, .. } => [Some(kind), Some(message), None],
                Detail::Frame { path, label, .. } => [Some(path), Some(label), None],
                Detail::Metadata { namespace, key, json } => [Some(namespace), Some(key), Some(json)],
                Detail::Sql { value, .. } => [Some(value), None, None],
            };
            for text in texts.into_iter().flatten() {
                *text = self.write(from.str(*text));
            }
            let new = self.attributes.len() as Index;
            self.attributes.push(Attribute { next: NONE, node, detail });
            match copy.last_attribute {
                NONE => copy.first_attribute = new,
                last => self.attributes[last as usize].next = new,
            }
            copy.last_attribute = new;
            place = next;
        }
    }

    /// Rewrites text and attributes so that those of nodes that have left are gone. Nodes keep their places.
    pub(super) fn compact(&mut self) {
        let mut fresh = Self::take();
        for index in 0..self.nodes.len() {
            if self.nodes[index].state != State::Vacant {
                let mut node = self.nodes[index];
                fresh.copy_text(self, &mut node);
                self.nodes[index] = node;
            }
        }
        std::mem::swap(&mut self.text, &mut fresh.text);
        std::mem::swap(&mut self.attributes, &mut fresh.attributes);
        fresh.recycle();
        self.lookup = None;
        self.rewritten = self.weight();
    }

    fn vacate(&mut self, index: Index) {
        let next = self.vacant;
        let node = self.node_mut(index);
        node.state = State::Vacant;
        node.next_sibling = next;
        self.vacant = index;
        self.vacancies += 1;
    }
}
