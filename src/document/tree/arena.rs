//! The tree itself: nodes, their attributes and all their text in three flat buffers.
//!
//! In: entities that open and close. Out: where they are, and what is known about them. Everything here is plain old
//! data that refers to the buffers by position. A new entity or attribute is an append, and emptied buffers serve the
//! thread's next segment, so that a request need not allocate for any of this.

use std::{cell::RefCell, thread};

use super::{
    lookup::Lookup,
    node::{Attribute, Cut, Detail, Http, Index, NONE, Node, State, Text},
};
use crate::{
    classify::Flags,
    document::{
        limits::MAX_STRING,
        text::{sanitize_name, truncate},
    },
    id::SegmentId,
};

/// What a node costs in a document besides its text: punctuation, keys, ids and times.
const NODE_WEIGHT: usize = 160;
const ATTRIBUTE_WEIGHT: usize = 32;

/// Spare buffers kept per thread, and the size beyond which they are not worth keeping.
const MAX_SPARES: usize = 8;
const MAX_SPARE_TEXT: usize = 16 * 1024;
const MAX_SPARE_ITEMS: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(super) text: String,
    pub(super) nodes: Vec<Node>,
    pub(super) attributes: Vec<Attribute>,
    /// Open nodes.
    pub(super) open: u32,
    /// First of the chain of vacant places.
    pub(super) vacant: Index,
    pub(super) vacancies: u32,
    /// What was left when it was last rewritten; it is not worth that again before it has doubled.
    pub(super) rewritten: usize,
    /// Exists once an entity has many attributes.
    pub(super) lookup: Option<Box<Lookup>>,
}

thread_local! {
    static SPARES: RefCell<Vec<Tree>> = const { RefCell::new(Vec::new()) };
}

impl Tree {
    /// An empty tree, with the buffers of an earlier one if there are any.
    pub(crate) fn take() -> Self {
        let spare = SPARES.try_with(|spares| spares.borrow_mut().pop()).ok().flatten();
        Self { vacant: NONE, ..spare.unwrap_or_default() }
    }

    /// Keeps the buffers for the next tree of this thread.
    pub(crate) fn recycle(mut self) {
        let small = self.text.capacity() <= MAX_SPARE_TEXT
            && self.nodes.capacity() <= MAX_SPARE_ITEMS
            && self.attributes.capacity() <= MAX_SPARE_ITEMS;
        if !small || self.nodes.capacity() == 0 {
            return;
        }
        self.clear();
        // While the thread ends there is no next tree.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < MAX_SPARES {
                spares.push(self);
            }
        });
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.nodes.clear();
        self.attributes.clear();
        self.open = 0;
        self.vacant = NONE;
        self.vacancies = 0;
        self.rewritten = 0;
        self.lookup = None;
    }

    /// Opens an entity below `parent`, or the first one of a tree if that is [`NONE`].
    pub(crate) fn open(
        &mut self,
        name: &str,
        id: SegmentId,
        parent: Index,
        parent_id: Option<SegmentId>,
        start: u64,
    ) -> Index {
        let name = self.write(&sanitize_name(name));
        self.open += 1;
        self.insert(Node {
            id,
            parent_id,
            name,
            state: State::Open,
            namespace: None,
            flags: Flags::default(),
            is_blameless: thread::panicking(),
            start,
            end: 0,
            http: Http::default(),
            user: Text::default(),
            aws: 0,
            cut: Cut::default(),
            parent,
            first_child: NONE,
            last_child: NONE,
            next_sibling: NONE,
            first_attribute: NONE,
            last_attribute: NONE,
        })
    }

    /// Closes an open entity; false if it is none.
    pub(crate) fn close(&mut self, index: Index, id: SegmentId, end: u64) -> bool {
        let Some(node) = self.open_node(index, id) else { return false };
        node.state = State::Closed;
        node.end = end.max(node.start);
        self.open -= 1;
        true
    }

    /// An entity that can still be changed.
    pub(crate) fn open_node(&mut self, index: Index, id: SegmentId) -> Option<&mut Node> {
        self.nodes.get_mut(index as usize).filter(|node| node.id == id && node.state == State::Open)
    }

    /// Whether the entity is still in this tree, open or closed.
    pub(crate) fn holds(&self, index: Index, id: SegmentId) -> bool {
        self.nodes.get(index as usize).is_some_and(|node| node.id == id && node.state != State::Vacant)
    }

    pub(crate) fn node(&self, index: Index) -> &Node {
        &self.nodes[index as usize]
    }

    pub(crate) fn node_mut(&mut self, index: Index) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn parent(&self, index: Index) -> Index {
        self.node(index).parent
    }

    pub(crate) fn next_sibling(&self, index: Index) -> Index {
        self.node(index).next_sibling
    }

    pub(crate) fn first_child(&self, index: Index) -> Index {
        self.node(index).first_child
    }

    pub(crate) fn children(&self, index: Index) -> impl Iterator<Item = Index> {
        chain(self.first_child(index), |child| self.next_sibling(child))
    }

    pub(crate) fn details(&self, index: Index) -> impl Iterator<Item = &Detail> {
        self.places(index).map(|place| self.detail(place))
    }

    pub(crate) fn detail(&self, place: Index) -> &Detail {
        &self.attributes[place as usize].detail
    }

    /// What follows a detail in those of its entity.
    pub(crate) fn details_after(&self, place: Index) -> impl Iterator<Item = &Detail> {
        self.chain(self.attributes[place as usize].next).map(|place| self.detail(place))
    }

    pub(crate) fn places(&self, index: Index) -> impl Iterator<Item = Index> {
        self.chain(self.node(index).first_attribute)
    }

    fn chain(&self, first: Index) -> impl Iterator<Item = Index> {
        chain(first, |place| self.attributes[place as usize].next)
    }

    /// Roughly the bytes that the tree would take as one document.
    pub(crate) fn weight(&self) -> usize {
        let nodes = self.nodes.len() - self.vacancies as usize;
        self.text.len() + nodes * NODE_WEIGHT + self.attributes.len() * ATTRIBUTE_WEIGHT
    }

    pub(crate) fn str(&self, text: Text) -> &str {
        &self.text[text.start as usize..(text.start + text.len) as usize]
    }

    /// The same for those who need not know that it is text.
    pub(crate) fn bytes(&self, text: Text) -> &[u8] {
        &self.text.as_bytes()[text.start as usize..(text.start + text.len) as usize]
    }

    /// Appends text that is within its limits already.
    pub(crate) fn write(&mut self, text: &str) -> Text {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Text { start, len: text.len() as u32 }
    }

    /// Appends text, cut to X-Ray's limit for strings.
    pub(crate) fn write_string(&mut self, text: &str) -> Text {
        self.write(truncate(text, MAX_STRING))
    }

    /// Appends text that `write` makes, cut to X-Ray's limit for strings.
    pub(crate) fn write_with(&mut self, write: impl FnOnce(&mut String)) -> Text {
        let start = self.text.len();
        write(&mut self.text);
        let len = truncate(&self.text[start..], MAX_STRING).len();
        self.text.truncate(start + len);
        Text { start: start as u32, len: len as u32 }
    }

    pub(super) fn insert(&mut self, node: Node) -> Index {
        let parent = node.parent;
        let index = match self.vacant {
            NONE => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as Index
            }
            place => {
                self.vacant = self.next_sibling(place);
                self.vacancies -= 1;
                *self.node_mut(place) = node;
                place
            }
        };
        if parent != NONE {
            match self.node(parent).last_child {
                NONE => self.node_mut(parent).first_child = index,
                last => self.node_mut(last).next_sibling = index,
            }
            self.node_mut(parent).last_child = index;
        }
        index
    }
}

impl Clone for Tree {
    /// A deep copy in the thread's spare buffers: three blocks of plain old data. It finds nothing by key, as nothing is
    /// added to a tree that is copied.
    fn clone(&self) -> Self {
        let Self { text, nodes, attributes, open, vacant, vacancies, rewritten, lookup: _ } = self;
        let mut copy = Self::take();
        copy.text.push_str(text);
        copy.nodes.extend_from_slice(nodes);
        copy.attributes.extend_from_slice(attributes);
        Self { open: *open, vacant: *vacant, vacancies: *vacancies, rewritten: *rewritten, ..copy }
    }
}

/// Follows links from `first` until there is none.
fn chain(first: Index, next: impl Fn(Index) -> Index) -> impl Iterator<Item = Index> {
    std::iter::successors(Some(first).filter(|first| *first != NONE), move |place| {
        Some(next(*place)).filter(|next| *next != NONE)
    })
}
