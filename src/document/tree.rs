//! The entities of one trace in one process: nodes, their attributes and all their text in three flat buffers.
//!
//! In: entities that open, gain attributes and close. Out: the same tree, or a completed part of it, to be sent.
//! Everything here is plain old data that refers to the buffers by position. A new entity or attribute is an append,
//! and emptied buffers serve the thread's next segment, so that a request need not allocate for any of this.

use std::{borrow::Cow, cell::RefCell};

use super::{
    annotation::AnnotationValue,
    cause::{Description, Exception},
    split::MAX_DOCUMENT,
    text::{MAX_STRING, MAX_VALUE, cut, repair_key, repair_name},
};
use crate::id::{SegmentId, TraceId};

/// A place in [`Tree::nodes`] or [`Tree::attributes`].
pub(crate) type Index = u32;

/// No node, no attribute.
pub(crate) const NONE: Index = Index::MAX;

/// What a node costs in a document besides its text: punctuation, keys, ids and times.
const NODE_WEIGHT: usize = 160;
const ATTRIBUTE_WEIGHT: usize = 32;

/// Bounds of what is kept for one segment that has not closed yet.
const MAX_TEXT: usize = 4 << 20;
const MAX_ATTRIBUTES: usize = 1 << 16;

/// Spare buffers kept per thread, and the size beyond which they are not worth keeping.
const MAX_SPARES: usize = 8;
const MAX_SPARE_TEXT: usize = 16 * 1024;
const MAX_SPARE_ITEMS: usize = 256;

/// A piece of [`Tree::text`]; an empty one stands for an absent field.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text {
    start: u32,
    len: u32,
}

impl Text {
    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Which kind of call a subsegment records.
///
/// X-Ray segment documents know no other namespaces; local work has none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Namespace {
    /// A call to an AWS service.
    Aws,
    /// Any other downstream call.
    Remote,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum State {
    /// The node has left the tree; its place can be taken again.
    #[default]
    Vacant,
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Http {
    pub(crate) method: Text,
    pub(crate) url: Text,
    pub(crate) user_agent: Text,
    pub(crate) client_ip: Text,
    pub(crate) x_forwarded_for: bool,
    pub(crate) traced: bool,
    pub(crate) status: Option<u16>,
    pub(crate) content_length: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) id: SegmentId,
    pub(crate) parent_id: Option<SegmentId>,
    pub(crate) name: Text,
    pub(crate) state: State,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) error: bool,
    pub(crate) fault: bool,
    pub(crate) throttle: bool,
    /// Microseconds since the epoch.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) http: Http,
    pub(crate) user: Text,
    /// What had to be left out: see [`Cut`].
    pub(crate) cut: Cut,
    parent: Index,
    first_child: Index,
    last_child: Index,
    next_sibling: Index,
    first_attribute: Index,
    last_attribute: Index,
}

/// What was left out of an entity because it would not fit, told in the document.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cut {
    pub(crate) stack: bool,
    pub(crate) metadata: bool,
    pub(crate) annotations: bool,
    pub(crate) exceptions: bool,
    pub(crate) links: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar {
    Bool(bool),
    Float(f64),
    Integer(i64),
    Text(Text),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Detail {
    Annotation {
        key: Text,
        value: Scalar,
    },
    /// Refers to an exception that another entity of the trace describes.
    CauseReference(SegmentId),
    Exception {
        id: SegmentId,
        kind: Text,
        message: Text,
        remote: bool,
        cause: Option<SegmentId>,
        skipped: u32,
        truncated: u32,
    },
    /// A frame of the exception before it.
    Frame {
        path: Text,
        label: Text,
        line: u32,
    },
    Link {
        trace_id: TraceId,
        id: SegmentId,
    },
    /// The value is JSON.
    Metadata {
        namespace: Text,
        key: Text,
        json: Text,
    },
}

#[derive(Clone, Copy, Debug)]
struct Attribute {
    next: Index,
    detail: Detail,
}

impl Node {
    pub(crate) fn has_details(&self) -> bool {
        self.first_attribute != NONE
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    text: String,
    nodes: Vec<Node>,
    attributes: Vec<Attribute>,
    /// Open nodes.
    open: u32,
    /// First of the chain of vacant places.
    vacant: Index,
    vacancies: u32,
    /// What was left when it was last rewritten; it is not worth that again before it has doubled.
    rewritten: usize,
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

    fn clear(&mut self) {
        self.text.clear();
        self.nodes.clear();
        self.attributes.clear();
        self.open = 0;
        self.vacant = NONE;
        self.vacancies = 0;
        self.rewritten = 0;
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
        let name = self.write(&repair_name(name));
        self.open += 1;
        self.insert(Node {
            id,
            parent_id,
            name,
            state: State::Open,
            namespace: None,
            error: false,
            fault: false,
            throttle: false,
            start,
            end: 0,
            http: Http::default(),
            user: Text::default(),
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
        chain(self.node(index).first_attribute, |place| self.attributes[place as usize].next)
            .map(|place| &self.attributes[place as usize].detail)
    }

    /// Roughly the bytes that the tree would take as one document.
    pub(crate) fn weight(&self) -> usize {
        let nodes = self.nodes.len() - self.vacancies as usize;
        self.text.len() + nodes * NODE_WEIGHT + self.attributes.len() * ATTRIBUTE_WEIGHT
    }

    /// Whether more can be said about the entities here; a tree without bounds would be memory without bounds.
    pub(crate) fn has_room(&mut self) -> bool {
        let has_room = |tree: &Self| tree.text.len() < MAX_TEXT && tree.attributes.len() < MAX_ATTRIBUTES;
        if !has_room(self) && self.weight() > self.rewritten + MAX_DOCUMENT {
            self.compact();
        }
        has_room(self)
    }

    /// Whether no entity of the tree is open.
    fn is_complete(&self) -> bool {
        self.open == 0 && self.vacancies == 0
    }

    pub(crate) fn str(&self, text: Text) -> &str {
        &self.text[text.start as usize..(text.start + text.len) as usize]
    }

    /// Appends text that is within its limits already.
    pub(crate) fn write(&mut self, text: &str) -> Text {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Text { start, len: text.len() as u32 }
    }

    /// Appends text, cut to X-Ray's limit for strings.
    pub(crate) fn write_string(&mut self, text: &str) -> Text {
        self.write(cut(text, MAX_STRING))
    }

    /// Appends text that `write` makes, cut to X-Ray's limit for strings.
    pub(crate) fn write_with(&mut self, write: impl FnOnce(&mut String)) -> Text {
        let start = self.text.len();
        write(&mut self.text);
        let len = cut(&self.text[start..], MAX_STRING).len();
        self.text.truncate(start + len);
        Text { start: start as u32, len: len as u32 }
    }

    pub(crate) fn annotate(&mut self, index: Index, key: &str, value: &AnnotationValue<'_>) {
        let key = repair_key(key);
        let value = match value {
            AnnotationValue::Bool(value) => Scalar::Bool(*value),
            AnnotationValue::Float(value) => Scalar::Float(*value),
            AnnotationValue::Integer(value) => Scalar::Integer(*value),
            AnnotationValue::Text(value) => Scalar::Text(self.write(cut(value, MAX_VALUE))),
        };
        // Keys that differ by case only would become one in the collector, so they are one here.
        let same = |tree: &Self, detail: &Detail| matches!(detail, Detail::Annotation { key: old, .. } if tree.str(*old).eq_ignore_ascii_case(&key));
        match self.find(index, same) {
            Some(place) => {
                if let Detail::Annotation { value: old, .. } = &mut self.attributes[place as usize].detail {
                    *old = value;
                }
            }
            None => {
                let key = self.write(&key);
                self.attach(index, Detail::Annotation { key, value });
            }
        }
    }

    /// `json` is one valid JSON value.
    pub(crate) fn add_metadata(&mut self, index: Index, namespace: &str, key: &str, json: &str) {
        // X-Ray segment documents: keys that begin with `AWS.` are reserved.
        let namespace = &*match namespace.strip_prefix("AWS.") {
            Some(rest) => Cow::Owned(format!("AWS_{rest}")),
            None => Cow::Borrowed(namespace),
        };
        let json = self.write(json);
        let same = |tree: &Self, detail: &Detail| matches!(detail, Detail::Metadata { namespace: ns, key: old, .. } if tree.str(*ns) == namespace && tree.str(*old).eq_ignore_ascii_case(key));
        match self.find(index, same) {
            Some(place) => {
                if let Detail::Metadata { json: old, .. } = &mut self.attributes[place as usize].detail {
                    *old = json;
                }
            }
            None => {
                let (namespace, key) = (self.write(namespace), self.write(key));
                self.attach(index, Detail::Metadata { namespace, key, json });
            }
        }
    }

    pub(crate) fn add_link(&mut self, index: Index, trace_id: TraceId, id: SegmentId) {
        self.attach(index, Detail::Link { trace_id, id });
    }

    /// Describes an error at an entity; what an entity below it has described already is referred to.
    pub(crate) fn add_exceptions(
        &mut self,
        index: Index,
        description: &Description,
        mut new_id: impl FnMut() -> SegmentId,
    ) {
        let known: Vec<_> =
            description.exceptions.iter().map(|exception| self.described_below(index, exception)).collect();
        let first_known = known.iter().position(Option::is_some).unwrap_or(known.len());
        if let (0, Some(Some(id))) = (first_known, known.first()) {
            if !self.details(index).any(|detail| matches!(detail, Detail::CauseReference(_) | Detail::Exception { .. }))
            {
                self.attach(index, Detail::CauseReference(*id));
            }
            return;
        }
        let ids: Vec<SegmentId> = (0..first_known).map(|_| new_id()).collect();
        for (position, exception) in description.exceptions[..first_known].iter().enumerate() {
            let kind = self.write_string(&exception.kind);
            let message = self.write(&exception.message);
            let cause = ids.get(position + 1).copied().or_else(|| known.get(position + 1).copied().flatten());
            self.attach(
                index,
                Detail::Exception {
                    id: ids[position],
                    kind,
                    message,
                    remote: exception.remote,
                    cause,
                    skipped: exception.skipped,
                    truncated: if position == 0 { description.truncated } else { 0 },
                },
            );
            if position == 0 {
                for frame in &description.stack {
                    let (path, label) = (self.write(&frame.path), self.write(&frame.label));
                    self.attach(index, Detail::Frame { path, label, line: frame.line });
                }
            }
        }
    }

    /// The same exception at a direct child that failed; of several children, at the one that began last.
    fn described_below(&self, index: Index, exception: &Exception) -> Option<SegmentId> {
        let described = |detail: &Detail| match *detail {
            Detail::Exception { id, kind, message, .. } => {
                exception.is_described_as(self.str(kind), self.str(message)).then_some(id)
            }
            _ => None,
        };
        // The child may itself refer to a deeper one, which it does not describe again.
        let referred = |detail: &Detail| match *detail {
            Detail::CauseReference(id) => self.attributes.iter().find_map(|attribute| match attribute.detail {
                Detail::Exception { id: deeper, .. } if deeper == id => described(&attribute.detail),
                _ => None,
            }),
            _ => None,
        };
        let failed = self.children(index).filter(|child| self.node(*child).fault || self.node(*child).error);
        failed
            .filter_map(|child| {
                self.details(child).find_map(described).or_else(|| self.details(child).find_map(referred))
            })
            .last()
    }

    /// Removes the attributes of a node that `drop` chooses.
    pub(crate) fn remove_details(&mut self, index: Index, mut drop: impl FnMut(&Self, &Detail) -> bool) {
        let kept: Vec<Index> = chain(self.node(index).first_attribute, |place| self.attributes[place as usize].next)
            .filter(|place| !drop(self, &self.attributes[*place as usize].detail))
            .collect();
        for pair in kept.windows(2) {
            self.attributes[pair[0] as usize].next = pair[1];
        }
        if let Some(last) = kept.last() {
            self.attributes[*last as usize].next = NONE;
        }
        let node = self.node_mut(index);
        node.first_attribute = kept.first().copied().unwrap_or(NONE);
        node.last_attribute = kept.last().copied().unwrap_or(NONE);
    }

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
            let Attribute { next, mut detail } = from.attributes[place as usize];
            let texts: [Option<&mut Text>; 3] = match &mut detail {
                Detail::Annotation { key, value: Scalar::Text(value) } => [Some(key), Some(value), None],
                Detail::Annotation { key, .. } => [Some(key), None, None],
                Detail::CauseReference(_) | Detail::Link { .. } => [None, None, None],
                Detail::Exception { kind, message, .. } => [Some(kind), Some(message), None],
                Detail::Frame { path, label, .. } => [Some(path), Some(label), None],
                Detail::Metadata { namespace, key, json } => [Some(namespace), Some(key), Some(json)],
            };
            for text in texts.into_iter().flatten() {
                *text = self.write(from.str(*text));
            }
            let new = self.attributes.len() as Index;
            self.attributes.push(Attribute { next: NONE, detail });
            match copy.last_attribute {
                NONE => copy.first_attribute = new,
                last => self.attributes[last as usize].next = new,
            }
            copy.last_attribute = new;
            place = next;
        }
    }

    /// Rewrites text and attributes so that those of nodes that have left are gone. Nodes keep their places.
    fn compact(&mut self) {
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
        self.rewritten = self.weight();
    }

    fn insert(&mut self, node: Node) -> Index {
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

    fn vacate(&mut self, index: Index) {
        let next = self.vacant;
        let node = self.node_mut(index);
        node.state = State::Vacant;
        node.next_sibling = next;
        self.vacant = index;
        self.vacancies += 1;
    }

    fn attach(&mut self, index: Index, detail: Detail) {
        let place = self.attributes.len() as Index;
        self.attributes.push(Attribute { next: NONE, detail });
        match self.node(index).last_attribute {
            NONE => self.node_mut(index).first_attribute = place,
            last => self.attributes[last as usize].next = place,
        }
        self.node_mut(index).last_attribute = place;
    }

    fn find(&self, index: Index, wanted: impl Fn(&Self, &Detail) -> bool) -> Option<Index> {
        chain(self.node(index).first_attribute, |place| self.attributes[place as usize].next)
            .find(|place| wanted(self, &self.attributes[*place as usize].detail))
    }
}

/// Follows links from `first` until there is none.
fn chain(first: Index, next: impl Fn(Index) -> Index) -> impl Iterator<Item = Index> {
    std::iter::successors(Some(first).filter(|first| *first != NONE), move |place| {
        Some(next(*place)).filter(|next| *next != NONE)
    })
}
