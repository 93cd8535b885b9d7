//! The call that the running code is part of.
//!
//! In: what a client learns below the layer that began the call: retries, redirects. Out: more about that call.

use crate::entity::{Entity, current::with_current};

/// Returns whether the running code is directly part of a call to another service.
#[must_use]
pub fn is_current() -> bool {
    with_current(Entity::is_call)
}

/// Counts one more attempt of the current call: its annotation `attempts`, from the second on. Elsewhere, it does nothing.
pub fn count_attempt() {
    with_current(Entity::count_attempt);
}
