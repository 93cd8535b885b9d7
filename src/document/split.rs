//! Documents within the limit of a datagram and of X-Ray.
//!
//! In: a document of any size. Out: documents within the limit that carry the same entities, linked by `parent_id`.
//! The largest completed subtrees leave first. An entity that is too large even alone loses, in this order, stack
//! frames, metadata, the text of its query, annotations, exceptions and keys of its `aws` object, the largest ones
//! first; what was cut is told in its metadata (`tower_xray.cut`).

use super::{
    limits::MAX_DEPTH,
    segment::SegmentDocument,
    serialize::into_text,
    tree::{Cut, Detail, Index, NONE, SqlField},
};

/// What makes a subsegment a document of its own: `trace_id`, `parent_id`, `type`.
const HEAD: usize = 130;
/// `,"subsegments":[]` and the closing brace.
const LIST: usize = 18;

/// What became of a document that was split.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Split {
    /// JSON texts within the limit, parents before their children.
    pub documents: Vec<String>,
    /// Entities that did not fit even after everything was cut; they are in no document.
    pub too_large: u64,
}

impl SegmentDocument {
    /// The document in pieces of at most `max_bytes` of JSON each.
    ///
    /// X-Ray takes documents of up to [`MAX_DOCUMENT`](super::MAX_DOCUMENT) bytes; the pieces are linked by their ids and mean the same.
    #[must_use]
    pub fn split(mut self, max_bytes: usize) -> Split {
        let order = self.preorder();
        let mut plan = Plan::new(self.tree.len());
        let mut scratch = Vec::new();
        let mut split = Split::default();
        for index in order.iter().rev() {
            let own = self.shed(*index, max_bytes.saturating_sub(HEAD + LIST), &mut scratch);
            if own.is_none() {
                plan.lost[*index as usize] = true;
                split.too_large += 1;
            }
            plan.settle(&self, *index, own, max_bytes);
        }
        for index in order {
            let place = index as usize;
            if (index == 0 || plan.detached[place]) && !plan.lost[place] {
                scratch.clear();
                self.write_part(index, |child| !plan.detached[child as usize], &mut scratch);
                split.documents.push(into_text(scratch.clone()));
            }
        }
        split
    }

    fn preorder(&self) -> Vec<Index> {
        let mut order = Vec::with_capacity(self.tree.len());
        let mut pending = vec![0];
        while let Some(index) = pending.pop() {
            order.push(index);
            let children = pending.len();
            pending.extend(self.tree.children(index));
            pending[children..].reverse();
        }
        order
    }

    /// Cuts an entity down to `limit` bytes without its children; its length then, or nothing if that is impossible.
    fn shed(&mut self, index: Index, limit: usize, scratch: &mut Vec<u8>) -> Option<usize> {
        type Choose = fn(&Detail) -> bool;
        const STEPS: [Choose; 6] = [
            |detail| matches!(detail, Detail::Frame { .. }),
            |detail| matches!(detail, Detail::Metadata { .. }),
            |detail| matches!(detail, Detail::Sql { field: SqlField::SanitizedQuery, .. }),
            |detail| matches!(detail, Detail::Annotation { .. }),
            |detail| matches!(detail, Detail::Exception { .. }),
            |detail| matches!(detail, Detail::Aws { .. }),
        ];
        let mut len = self.own_len(index, scratch);
        for (step, choose) in STEPS.iter().enumerate() {
            // Sizes are estimates, so that one round may not be enough.
            while len > limit {
                let mut sizes: Vec<(usize, usize)> = self
                    .tree
                    .details(index)
                    .enumerate()
                    .filter(|(_, detail)| choose(detail))
                    .map(|(position, detail)| (Self::detail_len(&self.tree, detail, scratch), position))
                    .collect();
                if sizes.is_empty() {
                    break;
                }
                sizes.sort_unstable_by(|a, b| b.cmp(a));
                // The mark itself takes room.
                let mut excess = len + 80 - limit;
                let mut dropped = vec![];
                for (size, position) in sizes {
                    if excess == 0 {
                        break;
                    }
                    excess = excess.saturating_sub(size);
                    dropped.push(position);
                }
                dropped.sort_unstable();
                let mut position = 0;
                self.tree.remove_details(index, |_, _| {
                    position += 1;
                    dropped.binary_search(&(position - 1)).is_ok()
                });
                let cut = &mut self.tree.node_mut(index).cut;
                let Cut { stack, metadata, sql, annotations, exceptions, aws, .. } = cut;
                *[stack, metadata, sql, annotations, exceptions, aws][step] = true;
                len = self.own_len(index, scratch);
            }
        }
        (len <= limit).then_some(len)
    }

    fn own_len(&self, index: Index, scratch: &mut Vec<u8>) -> usize {
        scratch.clear();
        self.write_own(index, index == 0, scratch);
        scratch.len()
    }
}

/// Which entities become documents of their own.
struct Plan {
    detached: Vec<bool>,
    lost: Vec<bool>,
    /// Bytes of an entity with the children that stay with it.
    total: Vec<usize>,
    /// Levels of an entity with the children that stay with it.
    height: Vec<usize>,
}

impl Plan {
    fn new(nodes: usize) -> Self {
        Self { detached: vec![false; nodes], lost: vec![false; nodes], total: vec![0; nodes], height: vec![0; nodes] }
    }

    /// Decides for the children of an entity, whose own children have been decided for.
    fn settle(&mut self, document: &SegmentDocument, index: Index, own: Option<usize>, max_bytes: usize) {
        let mut children: Vec<Index> = document.tree.children(index).collect();
        let place = index as usize;
        let Some(own) = own else {
            // A lost entity carries nothing.
            for child in children {
                self.detached[child as usize] = true;
            }
            self.detached[place] = index != 0 && document.tree.parent(index) != NONE;
            return;
        };
        children.retain(|child| {
            let child = *child as usize;
            let stays = !self.detached[child] && self.height[child] < MAX_DEPTH;
            self.detached[child] |= !stays;
            stays
        });
        children.sort_by_key(|child| self.total[*child as usize]);
        let mut total = own + HEAD + LIST + children.iter().map(|child| self.total[*child as usize] + 1).sum::<usize>();
        while total > max_bytes {
            let Some(largest) = children.pop() else { break };
            total -= self.total[largest as usize] + 1;
            self.detached[largest as usize] = true;
        }
        self.total[place] = total - HEAD;
        self.height[place] = children.iter().map(|child| self.height[*child as usize] + 1).max().unwrap_or(0);
    }
}
