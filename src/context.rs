//! The current entity: what the code that runs right now belongs to.
//!
//! In: the entity of a request, lent to the thread for every poll of its future and body. Out: [`current`], for
//! anything that is called from there, and for the clients that continue the trace.
//!
//! The context does not follow `tokio::spawn` by itself; [`FutureExt`](crate::FutureExt) takes it along.
//!
//! ```
//! # use tower_xray::{Recorder, emitter::InMemoryEmitter, sampling::SampleAll};
//! # let recorder = Recorder::builder().emitter(InMemoryEmitter::new()).sampling(SampleAll).build()?;
//! let segment = recorder.begin_segment("nightly-report");
//! {
//!     let _entered = segment.enter();
//!     tower_xray::current().add_annotation("rows", 5_000);
//! }
//! assert!(tower_xray::current().is_none());
//! # Ok::<(), tower_xray::recorder::BuildError>(())
//! ```

use std::{
    any::Any,
    cell::Cell,
    marker::PhantomData,
    panic::{self, AssertUnwindSafe},
};

use crate::{
    document::{AsError, Description},
    entity::{Entity, Subsegment},
    header::TraceHeader,
    id::SegmentId,
};

thread_local! {
    static CURRENT: Cell<Entity> = const { Cell::new(Entity::none()) };
}

/// The entity that the running code belongs to; [`Entity::none`] if there is none.
#[must_use]
pub fn current() -> Entity {
    with_current(Entity::clone)
}

/// The header for a call that the running code makes.
pub(crate) fn current_header() -> Option<TraceHeader> {
    with_current(Entity::header)
}

/// What a client says when it is called outside of any trace. The call goes through in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ContextMissing {
    /// Nothing.
    IgnoreError,
    /// One event of level debug for every call.
    #[default]
    LogDebug,
    /// One event of level error, the first time.
    LogError,
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

impl Entered {
    pub(crate) fn new(entity: Entity) -> Self {
        let id = entity.id();
        Self { outer: replace(entity), id, not_send: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if current().id() == self.id {
            replace(std::mem::take(&mut self.outer));
        }
    }
}

/// Runs sync code in a subsegment of the current entity; an `Err` becomes its fault and cause, and is passed on.
///
/// ```
/// let parsed = tower_xray::context::capture_blocking("parse", || "4x2".parse::<u32>());
/// assert!(parsed.is_err());
/// ```
///
/// # Errors
///
/// Those of `work`.
///
/// # Panics
///
/// When `work` does; the panic is recorded first.
pub fn capture_blocking<T, E: AsError<K>, K>(name: &str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    run_in(current().begin_subsegment(name), work, Entity::add_fault)
}

/// Runs sync code in a subsegment; `record` has a look at its error before that closes.
pub(crate) fn run_in<T, E>(
    subsegment: Subsegment,
    work: impl FnOnce() -> Result<T, E>,
    record: impl FnOnce(&Entity, &E),
) -> Result<T, E> {
    match enter(&subsegment, work) {
        Ok(result) => {
            if let Err(error) = &result {
                record(&subsegment, error);
            }
            result
        }
        Err(panic) => {
            subsegment.record_panic(&*panic);
            // Closed before the panic goes on, which would be recorded again.
            subsegment.close();
            panic::resume_unwind(panic)
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

impl Entity {
    /// Records a panic that is about to go on.
    pub(crate) fn record_panic(&self, payload: &(dyn Any + Send)) {
        self.add_cause(|| Description::of_panic(payload));
        self.set_fault();
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
