//! One exception of an entity.
//!
//! In: a closed tree, and the place of an exception in it. Out: what is known about the exception, and its stack.

use std::fmt;

use super::tree::{Detail, Index, Text, Tree};
use crate::id::SegmentId;

/// One exception of an [`EntityDocument`](super::EntityDocument): an error of a chain, or a panic.
///
/// The exceptions of a chain are described in its order, outermost first; each names the one that
/// [caused](Self::cause_id) it.
///
/// ```
/// use tower_xray::{Recorder, emitter::InMemoryEmitter, sampling::SampleAll};
///
/// let emitter = InMemoryEmitter::new();
/// let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll).build()?;
/// let segment = recorder.begin_segment("import");
/// segment.add_fault(&"4x2".parse::<u32>().unwrap_err());
/// segment.close();
///
/// let [document] = &emitter.take()[..] else { panic!("one segment, one document") };
/// let exception = document.root().exceptions().next().expect("the error");
/// assert_eq!(exception.type_name(), "core::num::error::ParseIntError");
/// assert_eq!(exception.message(), "invalid digit found in string");
/// assert_eq!((exception.remote(), exception.cause_id(), exception.stack().count()), (false, None, 0));
/// # Ok::<(), tower_xray::recorder::BuildError>(())
/// ```
#[derive(Clone, Copy)]
pub struct ExceptionDocument<'a> {
    tree: &'a Tree,
    place: Index,
    id: SegmentId,
    kind: Text,
    message: Text,
    remote: bool,
    cause: Option<SegmentId>,
    skipped: u32,
    truncated: u32,
}

impl<'a> ExceptionDocument<'a> {
    /// The exception at this place, if one is there.
    pub(super) fn at(tree: &'a Tree, place: Index) -> Option<Self> {
        let Detail::Exception { id, kind, message, remote, cause, skipped, truncated } = *tree.detail(place) else {
            return None;
        };
        Some(Self { tree, place, id, kind, message, remote, cause, skipped, truncated })
    }

    /// Returns its id, by which other exceptions and entities of the trace refer to it.
    #[must_use]
    pub fn id(self) -> SegmentId {
        self.id
    }

    /// Returns the type of the error, or `panic`; at most 250 characters.
    #[must_use]
    pub fn type_name(self) -> &'a str {
        self.tree.str(self.kind)
    }

    /// Returns its message without what may be secret in URLs; at most 1,000 characters.
    #[must_use]
    pub fn message(self) -> &'a str {
        self.tree.str(self.message)
    }

    /// Whether a service that was called has caused it.
    #[must_use]
    pub fn remote(self) -> bool {
        self.remote
    }

    /// Returns the id of the exception that caused it: the next one here, or one that an entity below describes.
    #[must_use]
    pub fn cause_id(self) -> Option<SegmentId> {
        self.cause
    }

    /// Returns how many exceptions of the chain were left out between this one and the next.
    #[must_use]
    pub fn skipped(self) -> u32 {
        self.skipped
    }

    /// Returns how many frames were left out at the end of its stack.
    #[must_use]
    pub fn truncated(self) -> u32 {
        self.truncated
    }

    /// Returns the frames of its stack, innermost first: at most 50, and none unless
    /// [`backtraces`](crate::RecorderBuilder::backtraces) are on.
    pub fn stack(self) -> impl Iterator<Item = StackFrame<'a>> {
        let Self { tree, place, .. } = self;
        tree.details_after(place).map_while(move |detail| match *detail {
            Detail::Frame { path, label, line } => {
                Some(StackFrame { path: tree.str(path), label: tree.str(label), line })
            }
            _ => None,
        })
    }
}

impl fmt::Debug for ExceptionDocument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExceptionDocument")
            .field("id", &self.id())
            .field("type_name", &self.type_name())
            .field("message", &self.message())
            .finish_non_exhaustive()
    }
}

/// One frame of the stack of an [`ExceptionDocument`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StackFrame<'a> {
    path: &'a str,
    label: &'a str,
    line: u32,
}

impl<'a> StackFrame<'a> {
    /// Returns the path of the source file; empty if it is not known. At most 250 characters.
    #[must_use]
    pub fn path(self) -> &'a str {
        self.path
    }

    /// Returns the name of the function; at most 250 characters.
    #[must_use]
    pub fn label(self) -> &'a str {
        self.label
    }

    /// Returns the line in the source file; 0 if it is not known.
    #[must_use]
    pub fn line(self) -> u32 {
        self.line
    }
}
