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

use crate::{
    document::AsError,
    entity::{Entity, Running, Work, current::with_current},
    header::TraceHeader,
};
pub use crate::{entity::current::Entered, environment::ContextMissing};

/// The entity that the running code belongs to; [`Entity::none`] if there is none.
#[must_use]
pub fn current() -> Entity {
    with_current(Entity::clone)
}

/// The header for a call that the running code makes.
pub(crate) fn current_header() -> Option<TraceHeader> {
    with_current(Entity::header)
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
    let mut running = Running::new(current().begin_subsegment(name));
    let result = running.enter(work);
    running.end_with(&result);
    result
}
