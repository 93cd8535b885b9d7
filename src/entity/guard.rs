//! The owners of an entity's lifetime.

use std::{ops::Deref, thread};

use super::Entity;
use crate::document::Description;

/// An open segment. It closes once: by [`close`](Self::close), or when it is dropped.
///
/// Dropped while its thread panics, it is a fault. It derefs to its [`Entity`], which describes it.
#[derive(Debug)]
#[must_use = "a segment closes when it is dropped"]
pub struct Segment(Guard);

/// An open subsegment. It closes once: by [`close`](Self::close), or when it is dropped.
///
/// Dropped while its thread panics, it is a fault. It derefs to its [`Entity`], which describes it.
#[derive(Debug)]
#[must_use = "a subsegment closes when it is dropped"]
pub struct Subsegment(Guard);

#[derive(Debug)]
struct Guard {
    entity: Entity,
    /// A guard that begins during a panic does not belong to it.
    panicking: bool,
}

impl Guard {
    fn new(entity: Entity) -> Self {
        Self { entity, panicking: thread::panicking() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() && !self.panicking {
            self.entity.add_cause(Description::of_unknown_panic);
            self.entity.set_fault();
        }
        self.entity.close();
    }
}

macro_rules! guard {
    ($guard:ident) => {
        impl $guard {
            pub(crate) fn new(entity: Entity) -> Self {
                Self(Guard::new(entity))
            }

            /// Closes it now.
            pub fn close(self) {}

            /// The handle that can be kept longer than this guard.
            #[must_use]
            pub fn entity(&self) -> &Entity {
                &self.0.entity
            }
        }

        impl Deref for $guard {
            type Target = Entity;

            fn deref(&self) -> &Entity {
                self.entity()
            }
        }
    };
}

guard!(Segment);
guard!(Subsegment);

impl Subsegment {
    /// The entity without the guard: whoever has it has to [close](Entity::close) it.
    #[cfg(feature = "tracing-subscriber")]
    pub(crate) fn into_entity(mut self) -> Entity {
        std::mem::take(&mut self.0.entity)
    }
}
