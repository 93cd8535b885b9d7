//! What the entities of one recorded segment share: the tree, the clock, and the way to the emitter.

use std::{
    cell::RefCell,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::Entity;
#[cfg(feature = "tracing-subscriber")]
use crate::document::Detail;
use crate::{
    clock::Moment,
    document::{Description, Index, Kind, NONE, SegmentDocument, Tree},
    header::TraceHeader,
    id::{SegmentId, TraceId},
    recorder::Recorder,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
        thread_local,
    },
};

/// The annotation that says why a segment that was not sampled has been sent.
const CAPTURED: &str = "captured";

/// The place of the segment in the tree while it is open.
const SEGMENT: Index = 0;

/// Spare recordings kept per thread.
const MAX_SPARES: usize = 8;

thread_local! {
    static SPARES: RefCell<Vec<Arc<Recording>>> = const { RefCell::new(Vec::new()) };
}

/// A segment that is recorded, from its beginning until the last of its subsegments has closed.
#[derive(Debug)]
pub(crate) struct Recording {
    /// A spare recording must not keep a recorder alive.
    recorder: Option<Recorder>,
    /// Trace id and foreign pairs, for those who are called.
    header: TraceHeader,
    rule_name: Option<Arc<str>>,
    began: Moment,
    segment_id: SegmentId,
    /// A [`Fate`].
    fate: AtomicU8,
    /// A document in progress has been sent; there is at most one.
    announced: AtomicBool,
    tree: Mutex<Tree>,
}

/// Whether what is recorded will be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum Fate {
    /// It is not sampled; how it ends will tell.
    Open,
    Sent,
    Dropped,
}

impl Fate {
    const ALL: [Self; 3] = [Self::Open, Self::Sent, Self::Dropped];
}

impl Recording {
    /// Opens a segment.
    pub(crate) fn begin(
        recorder: Recorder,
        name: &str,
        header: TraceHeader,
        rule_name: Option<Arc<str>>,
        began: Moment,
        describe: impl FnOnce(&mut Tree, Index),
    ) -> Entity {
        let segment_id = recorder.ids().segment_id();
        let mut tree = Tree::take();
        let index = tree.open(name, segment_id, NONE, header.parent(), began.micros());
        describe(&mut tree, index);
        let recorder = Some(recorder);
        let fate = if header.decision().made() == Some(true) { Fate::Sent } else { Fate::Open };
        let (fate, announced, tree) = (AtomicU8::new(fate as u8), AtomicBool::new(false), Mutex::new(tree));
        let recording = Self { recorder, header, rule_name, began, segment_id, fate, announced, tree };
        Entity::recorded(recording.share(), index, segment_id)
    }

    /// Moves it to the memory of an earlier recording, if this thread has one to spare.
    fn share(self) -> Arc<Self> {
        let spare = SPARES.try_with(|spares| spares.borrow_mut().pop()).ok().flatten();
        let Some(mut shared) = spare else { return Arc::new(self) };
        match Arc::get_mut(&mut shared) {
            Some(place) => {
                *place = self;
                shared
            }
            None => Arc::new(self),
        }
    }

    /// Keeps the memory for the thread's next recording, if nobody else refers to it.
    pub(super) fn release(mut shared: Arc<Self>) {
        let Some(recording) = Arc::get_mut(&mut shared) else { return };
        recording.recorder = None;
        recording.rule_name = None;
        // While the thread ends there is no next one.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < MAX_SPARES {
                spares.push(shared);
            }
        });
    }

    fn recorder(&self) -> &Recorder {
        self.recorder.as_ref().expect("it is taken out only when nobody refers to the recording")
    }

    pub(super) fn trace_id(&self) -> TraceId {
        self.header.root()
    }

    pub(super) fn header(&self, id: SegmentId) -> TraceHeader {
        self.header.clone().with_parent(id)
    }

    /// Opens a subsegment; one whose parent has been sent already will travel by itself.
    ///
    /// It began so long `ago`, but not before its parent, or its segment where that is all that is known.
    pub(super) fn open(
        &self,
        name: &str,
        ago: Duration,
        parent: Index,
        parent_id: SegmentId,
        describe: impl FnOnce(&mut Tree, Index),
    ) -> (Index, SegmentId) {
        let id = self.recorder().ids().segment_id();
        let mut start = self.began.now_micros(self.recorder().clock());
        let mut tree = self.tree();
        let parent = if tree.holds(parent, parent_id) { parent } else { NONE };
        if !ago.is_zero() {
            let earliest = if parent == NONE { self.began.micros() } else { tree.node(parent).start };
            let ago = u64::try_from(ago.as_micros()).unwrap_or(u64::MAX);
            start = start.saturating_sub(ago).max(earliest);
        }
        let index = tree.open(name, id, parent, Some(parent_id), start);
        describe(&mut tree, index);
        (index, id)
    }

    /// Changes an entity that is still open; what comes too late is refused.
    pub(super) fn describe(&self, index: Index, id: SegmentId, change: impl FnOnce(&mut Tree)) {
        let mut tree = self.tree();
        if tree.open_node(index, id).is_some() && tree.has_room() {
            change(&mut tree);
        } else {
            drop(tree);
            self.refuse();
        }
    }

    /// Whether something of the kind has been said about an entity that is still open.
    #[cfg(feature = "tracing-subscriber")]
    pub(super) fn is(&self, index: Index, id: SegmentId, kind: impl FnMut(&Detail) -> bool) -> bool {
        let mut tree = self.tree();
        tree.open_node(index, id).is_some() && tree.details(index).any(kind)
    }

    /// Changes the segment itself.
    pub(super) fn describe_segment(&self, change: impl FnOnce(&mut Tree, Index)) {
        self.describe(SEGMENT, self.segment_id, |tree| change(tree, SEGMENT));
    }

    pub(super) fn add_exceptions(&self, index: Index, id: SegmentId, description: &Description) {
        self.describe(index, id, |tree| tree.add_exceptions(index, description, || self.recorder().ids().segment_id()));
    }

    pub(super) fn with_stack(&self, description: Description) -> Description {
        if self.recorder().records_backtraces() { description.with_stack() } else { description }
    }

    #[cfg(feature = "sqlparser")]
    pub(super) fn records_sql_statements(&self) -> bool {
        self.recorder().records_sql_statements()
    }

    /// Sends what was not sampled, whatever its outcome.
    pub(super) fn keep(&self) {
        // An open fate is decided while the tree is locked, so that the end of the segment does not decide it too.
        let mut tree = self.tree();
        if self.swap_fate(Fate::Open, Fate::Sent) {
            self.recorder().count_captured();
            tree.annotate(SEGMENT, CAPTURED, &"kept".into());
        }
    }

    /// Sends nothing of what has not been sent yet.
    pub(super) fn discard(&self) {
        let _tree = self.tree();
        if !self.swap_fate(Fate::Open, Fate::Dropped) && self.swap_fate(Fate::Sent, Fate::Dropped) {
            self.recorder().count_discarded();
        }
    }

    /// Sends the segment as it is so far, once.
    pub(super) fn announce(&self) {
        let mut tree = self.tree();
        if self.fate() != Fate::Sent
            || tree.open_node(SEGMENT, self.segment_id).is_none()
            || self.announced.swap(true, Relaxed)
        {
            return;
        }
        let so_far = tree.snapshot(SEGMENT);
        drop(tree);
        self.emit(so_far, Kind::Segment);
    }

    fn swap_fate(&self, from: Fate, to: Fate) -> bool {
        self.fate.compare_exchange(from as u8, to as u8, Relaxed, Relaxed).is_ok()
    }

    fn fate(&self) -> Fate {
        Fate::ALL[usize::from(self.fate.load(Relaxed))]
    }

    pub(super) fn refuse(&self) {
        self.recorder().count_refused();
    }

    /// Closes an entity, and sends what no open entity above it will carry.
    pub(super) fn close(&self, index: Index, id: SegmentId) {
        let end = self.began.now_micros(self.recorder().clock());
        let mut tree = self.tree();
        if !tree.close(index, id, end) {
            return;
        }
        let kind = if id == self.segment_id { Kind::Segment } else { Kind::Subsegment };
        if kind == Kind::Segment && self.fate() == Fate::Open {
            self.seal_fate(&mut tree, index);
        }
        let own = (tree.parent(index) == NONE).then(|| tree.detach(index));
        let excess = tree.detach_excess();
        drop(tree);
        if let Some(own) = own {
            self.emit(own, kind);
        }
        for subsegment in excess {
            self.emit(subsegment, Kind::Subsegment);
        }
    }

    /// Decides by its outcome about a segment that was not sampled.
    fn seal_fate(&self, tree: &mut Tree, index: Index) {
        let node = tree.node(index);
        let duration = Duration::from_micros(node.end - node.start);
        let reason = self.recorder().capture(node.error, node.fault, duration);
        if let Some(reason) = reason {
            tree.annotate(index, CAPTURED, &reason.into());
        }
        self.swap_fate(Fate::Open, if reason.is_some() { Fate::Sent } else { Fate::Dropped });
    }

    fn emit(&self, tree: Tree, kind: Kind) {
        if self.fate() != Fate::Sent {
            // What piles up before the fate of its segment is known cannot wait for it.
            tree.recycle();
            return;
        }
        let rule_name = self.rule_name.clone().filter(|_| kind == Kind::Segment);
        self.recorder().emit(SegmentDocument::new(tree, kind, self.trace_id(), rule_name, self.recorder().resource()));
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        // A panic of the caller's code while the tree is locked leaves it usable: every change is made at once.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
