//! Work in the context of the segment or subsegment that it is about.
//!
//! In: a part of the work, such as one poll of a future. Out: its result. A panic closes what the work is about, as a
//! fault, before it goes on.

use std::{any::Any, panic, thread};

use tracing::Span;

use super::{Entity, Subsegment, current::enter};
use crate::document::{AsError, Description};

/// Owns a segment or a subsegment while the work that it is about runs.
pub(crate) trait Work {
    /// What the work is about, until it has closed.
    fn entity(&self) -> Option<&Entity>;

    /// The span that shows the trace to the logs of the work.
    fn log_span(&self) -> Option<&Span> {
        None
    }

    /// Closes it as a fault with this cause.
    fn fail(&mut self, describe: impl FnOnce() -> Description);

    /// Runs a part of the work. A panic is recorded, closes what the work is about, and goes on.
    fn enter<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let Some(entity) = self.entity() else { return work() };
        let result = match self.log_span() {
            None => enter(entity, work),
            Some(span) => enter_with_span(entity, span, work),
        };
        result.unwrap_or_else(|panic| {
            self.fail(|| Description::of_panic(&*panic));
            panic::resume_unwind(panic)
        })
    }
}

/// Out of the way of work without a span.
#[cold]
#[inline(never)]
fn enter_with_span<T>(entity: &Entity, span: &Span, work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    enter(entity, || span.in_scope(work))
}

/// A subsegment while its work runs.
///
/// Dropped before the work has ended, the work was abandoned: the annotation `cancelled`, which is no error by itself.
#[derive(Debug, Default)]
pub(crate) struct Running(Option<Subsegment>);

impl Running {
    pub(crate) const fn new(subsegment: Subsegment) -> Self {
        Self(Some(subsegment))
    }

    /// The work has ended; the subsegment closes when it is dropped.
    ///
    /// A panic of the work itself has been recorded. If there is another one, it is not the work's.
    #[inline]
    pub(crate) fn end(&mut self) -> Option<Subsegment> {
        let subsegment = self.0.take()?;
        if thread::panicking() {
            subsegment.absolve();
        }
        Some(subsegment)
    }

    /// The work has ended; an error is its fault and cause.
    pub(crate) fn end_with<T, E: AsError<K>, K>(mut self, result: &Result<T, E>) {
        if let (Some(subsegment), Err(error)) = (self.end(), result) {
            subsegment.add_fault(error);
        }
    }
}

impl Work for Running {
    fn entity(&self) -> Option<&Entity> {
        self.0.as_ref().map(Subsegment::entity)
    }

    fn fail(&mut self, describe: impl FnOnce() -> Description) {
        if let Some(subsegment) = self.end() {
            subsegment.add_cause(describe);
            subsegment.set_fault();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(subsegment) = self.end() {
            subsegment.add_annotation("cancelled", true);
        }
    }
}
