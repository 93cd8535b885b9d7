//! What the entities of one recorded segment share: the tree, the clock, and the way to the emitter.

use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

#[cfg(feature = "tracing-subscriber")]
use crate::document::Detail;
use crate::{
    clock::Moment,
    document::{Description, Index, Kind, NONE, Node, SegmentDocument, Tree},
    header::TraceHeader,
    id::{SegmentId, TraceId},
    recorder::core::Core,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
        thread_local,
    },
};

/// The annotation that says why a segment that was not sampled has been sent.
const CAPTURED: &str = "captured";

/// The place of the segment in the tree while it is open.
pub(super) const SEGMENT: Index = 0;

/// Spare recordings kept per thread.
const MAX_SPARES: usize = 8;

thread_local! {
    static SPARES: RefCell<Vec<Arc<Recording>>> = const { RefCell::new(Vec::new()) };
}

/// A segment that is recorded, from its beginning until the last of its subsegments has closed.
pub(crate) struct Recording {
    /// A spare recording must not keep a recorder alive.
    core: Option<Arc<Core>>,
    /// Trace id and foreign pairs, for those who are called.
    header: TraceHeader,
    rule_name: Option<Arc<str>>,
    began: Moment,
    segment_id: SegmentId,
    /// An [`Emission`].
    emission: AtomicU8,
    /// A document in progress has been sent; there is at most one.
    sent_in_progress: AtomicBool,
    tree: Mutex<Tree>,
}

/// What is known of a segment before it begins.
pub(crate) struct Beginning<'a> {
    pub(crate) name: &'a str,
    pub(crate) header: TraceHeader,
    /// The sampling rule that has chosen it, if one did.
    pub(crate) rule_name: Option<Arc<str>>,
    pub(crate) began: Moment,
}

/// Whether the documents of what is recorded are emitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum Emission {
    /// The segment is not sampled: its outcome decides.
    Undecided,
    Emitted,
    Discarded,
}

impl Emission {
    const ALL: [Self; 3] = [Self::Undecided, Self::Emitted, Self::Discarded];
}

impl Recording {
    /// Opens a segment.
    pub(super) fn begin(
        core: Arc<Core>,
        beginning: Beginning<'_>,
        describe: impl FnOnce(&mut Tree, Index),
    ) -> (Arc<Self>, SegmentId) {
        let Beginning { name, header, rule_name, began } = beginning;
        let segment_id = core.ids.segment_id();
        let mut tree = Tree::take();
        let index = tree.open(name, segment_id, NONE, header.parent(), began.micros());
        describe(&mut tree, index);
        let sampled = header.decision().made() == Some(true);
        let emission = AtomicU8::new(if sampled { Emission::Emitted } else { Emission::Undecided } as u8);
        let (sent_in_progress, tree) = (AtomicBool::new(false), Mutex::new(tree));
        let recording =
            Self { core: Some(core), header, rule_name, began, segment_id, emission, sent_in_progress, tree };
        (recording.share(), segment_id)
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
        recording.core = None;
        recording.rule_name = None;
        // While the thread ends there is no next one.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < MAX_SPARES {
                spares.push(shared);
            }
        });
    }

    pub(super) fn core(&self) -> &Core {
        self.core.as_deref().expect("it is taken out only when nobody refers to the recording")
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
        let id = self.core().ids.segment_id();
        let mut start = self.began.now_micros(&self.core().clock);
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

    /// Looks at an entity that is still open.
    pub(super) fn look<T>(&self, index: Index, id: SegmentId, look: impl FnOnce(&Node) -> T) -> Option<T> {
        self.tree().open_node(index, id).map(|node| look(node))
    }

    /// Changes the segment itself.
    pub(super) fn describe_segment(&self, change: impl FnOnce(&mut Tree, Index)) {
        self.describe(SEGMENT, self.segment_id, |tree| change(tree, SEGMENT));
    }

    pub(super) fn add_exceptions(&self, index: Index, id: SegmentId, description: &Description) {
        self.describe(index, id, |tree| tree.add_exceptions(index, description, || self.core().ids.segment_id()));
    }

    pub(super) fn with_stack(&self, description: Description) -> Description {
        if self.core().backtraces { description.with_stack() } else { description }
    }

    #[cfg(feature = "sqlparser")]
    pub(super) fn records_sql_statements(&self) -> bool {
        self.core().sql_statements
    }

    /// Sends what was not sampled, whatever its outcome.
    pub(super) fn keep(&self) {
        // Decided while the tree is locked, so that the end of the segment does not decide it too.
        let mut tree = self.tree();
        if self.decide(Emission::Undecided, Emission::Emitted) {
            self.core().count_captured();
            tree.annotate(SEGMENT, CAPTURED, &"kept".into());
        }
    }

    /// Sends nothing of what has not been sent yet.
    pub(super) fn discard(&self) {
        let _tree = self.tree();
        if !self.decide(Emission::Undecided, Emission::Discarded) && self.decide(Emission::Emitted, Emission::Discarded)
        {
            self.core().count_discarded();
        }
    }

    /// The segment as it is so far, to be sent once.
    pub(super) fn snapshot(&self) -> Option<SegmentDocument> {
        let mut tree = self.tree();
        if self.emission() != Emission::Emitted
            || tree.open_node(SEGMENT, self.segment_id).is_none()
            || self.sent_in_progress.swap(true, Relaxed)
        {
            return None;
        }
        let so_far = tree.snapshot(SEGMENT);
        drop(tree);
        Some(self.document(so_far, Kind::Segment))
    }

    fn decide(&self, from: Emission, to: Emission) -> bool {
        self.emission.compare_exchange(from as u8, to as u8, Relaxed, Relaxed).is_ok()
    }

    fn emission(&self) -> Emission {
        Emission::ALL[usize::from(self.emission.load(Relaxed))]
    }

    pub(super) fn refuse(&self) {
        self.core().count_refused();
    }

    /// Closes an entity, and hands over what no open entity above it will carry.
    pub(super) fn close(&self, index: Index, id: SegmentId, mut emit: impl FnMut(SegmentDocument)) {
        let end = self.began.now_micros(&self.core().clock);
        let mut tree = self.tree();
        if !tree.close(index, id, end) {
            return;
        }
        let kind = if id == self.segment_id { Kind::Segment } else { Kind::Subsegment };
        if kind == Kind::Segment && self.emission() == Emission::Undecided {
            self.decide_by_outcome(&mut tree, index);
        }
        let own = (tree.parent(index) == NONE).then(|| tree.detach(index));
        let excess = tree.detach_excess();
        drop(tree);
        if let Some(own) = own {
            self.hand_over(own, kind, &mut emit);
        }
        for subsegment in excess {
            self.hand_over(subsegment, Kind::Subsegment, &mut emit);
        }
    }

    fn hand_over(&self, tree: Tree, kind: Kind, emit: &mut impl FnMut(SegmentDocument)) {
        if self.emission() == Emission::Emitted {
            emit(self.document(tree, kind));
        } else {
            // What piles up before the segment is decided about cannot wait for that.
            tree.recycle();
        }
    }

    /// Decides by its outcome about a segment that was not sampled.
    fn decide_by_outcome(&self, tree: &mut Tree, index: Index) {
        let node = tree.node(index);
        let duration = Duration::from_micros(node.end - node.start);
        let reason = self.core().capture(node.flags, duration);
        if let Some(reason) = reason {
            tree.annotate(index, CAPTURED, &reason.into());
        }
        self.decide(Emission::Undecided, if reason.is_some() { Emission::Emitted } else { Emission::Discarded });
    }

    fn document(&self, tree: Tree, kind: Kind) -> SegmentDocument {
        let rule_name = self.rule_name.clone().filter(|_| kind == Kind::Segment);
        SegmentDocument::new(tree, kind, self.trace_id(), rule_name, self.core().resource.clone())
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        // A panic of the caller's code while the tree is locked leaves it usable: every change is made at once.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("trace_id", &self.trace_id()).finish_non_exhaustive()
    }
}
