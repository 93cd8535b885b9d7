//! The spans that the thread is in.
//!
//! In: spans that are entered and exited, in any order. Out: the innermost of them is the current entity, and what was
//! current before is again when it is exited.

use std::{cell::RefCell, thread};

use crate::{
    entity::{
        Entity,
        current::{replace, with_current},
    },
    id::SegmentId,
};

thread_local! {
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

struct Entered {
    id: SegmentId,
    /// What was current before.
    outer: Entity,
    /// Whoever enters during a panic is not what panics.
    panicking: bool,
}

/// Makes the entity of a span the current one.
pub(super) fn enter(entity: Entity) {
    let Some(id) = entity.id() else { return };
    let entered = Entered { id, outer: replace(entity), panicking: thread::panicking() };
    with(|stack| stack.push(entered));
}

/// Whether the thread is in any span.
pub(super) fn is_empty() -> bool {
    with(|stack| stack.is_empty()).unwrap_or(true)
}

/// Leaves a span; whether that is for a panic.
pub(super) fn exit(id: SegmentId) -> bool {
    let Some(Some((left, last))) = with(|stack| {
        let place = stack.iter().rposition(|entered| entered.id == id)?;
        let mut left = stack.remove(place);
        let is_left = |entity: &Entity| entity.id() == Some(id);
        if let Some(later) = stack.get_mut(place) {
            // One that was entered later is still there, and returns to what this one would have returned to.
            if is_left(&later.outer) {
                std::mem::swap(&mut later.outer, &mut left.outer);
            }
        } else if with_current(is_left) {
            left.outer = replace(std::mem::take(&mut left.outer));
        }
        Some((left, !stack.iter().any(|entered| entered.id == id)))
    }) else {
        return false;
    };
    last && thread::panicking() && !left.panicking
}

/// Leaves a span that is gone although it has not been exited.
pub(super) fn forget(id: SegmentId) {
    while with(|stack| stack.iter().any(|entered| entered.id == id)).unwrap_or_default() {
        exit(id);
    }
}

/// While the thread ends there is no stack any more. What `work` takes out of it is dropped later: that may run code of
/// anybody's.
fn with<T>(work: impl FnOnce(&mut Vec<Entered>) -> T) -> Option<T> {
    ENTERED.try_with(|stack| work(&mut stack.borrow_mut())).ok()
}
