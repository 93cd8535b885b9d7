//! The thread's slot of the current entity.
//!
//! In: an entity, lent to the thread while a part of its work runs. Out: that entity, for everything that is called from
//! there; and code that runs without one.

use std::{
    any::Any,
    cell::Cell,
    marker::PhantomData,
    panic::{self, AssertUnwindSafe},
};

use super::Entity;
use crate::id::SegmentId;

thread_local! {
    static CURRENT: Cell<Entity> = const { Cell::new(Entity::none()) };
}

impl Entity {
    /// Makes this the current entity of the thread until the guard is dropped, for code that does not wait.
    ///
    /// In async code use [`FutureExt`](crate::FutureExt): a guard that is held across an `.await` would be about the
    /// thread, not the future, so it cannot be sent.
    pub fn enter(&self) -> Entered {
        Entered { outer: replace(self.clone()), id: self.id(), not_send: PhantomData }
    }
}

/// Makes an entity the current one of the thread while it lives. See [`Entity::enter`].
#[derive(Debug)]
#[must_use = "the entity is current only while this guard lives"]
pub struct Entered {
    outer: Entity,
    /// What it has entered. If that is not current any more, the guard was held across an `.await`.
    id: Option<SegmentId>,
    /// It is about this thread.
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if with_current(Entity::id) == self.id {
            replace(std::mem::take(&mut self.outer));
        }
    }
}

/// Makes an entity the current one of the thread while `work` runs, and hands a panic back instead of letting it pass.
///
/// Whatever `work` leaves behind as current, the outer entity is current again afterwards.
pub(crate) fn enter<T>(entity: &Entity, work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    // Holds the outer entity meanwhile.
    let place = Cell::new(entity.clone());
    swap(&place);
    // Whoever gets the panic resumes it, so nobody sees what it has left behind.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    swap(&place);
    result
}

/// Runs an emitter without a current entity: spans and calls of an emitter are no part of what it sends, which would
/// never end.
pub(super) fn suspended<T>(emit: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    if with_current(Entity::is_recorded) {
        enter(&Entity::none(), emit)
    } else {
        panic::catch_unwind(AssertUnwindSafe(emit))
    }
}

/// Looks at the current entity; while the thread ends there is none any more.
pub(crate) fn with_current<T: Default>(look: impl FnOnce(&Entity) -> T) -> T {
    let look = |current: &Cell<Entity>| {
        let entity = current.take();
        let seen = look(&entity);
        current.set(entity);
        seen
    };
    CURRENT.try_with(look).unwrap_or_default()
}

/// While the thread ends there is no context any more.
#[inline]
fn swap(place: &Cell<Entity>) {
    let _ = CURRENT.try_with(|current| current.swap(place));
}

/// The same with what it held handed back.
pub(crate) fn replace(entity: Entity) -> Entity {
    CURRENT.try_with(|current| current.replace(entity)).unwrap_or_default()
}
