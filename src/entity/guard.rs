//! The owners of an entity's lifetime.
//!
//! In: work that begins. Out: an open segment or subsegment, which closes once.

use std::{ops::Deref, sync::Arc, thread, time::Duration};

use super::{
    Entity,
    handle::State,
    recording::{Beginning, Recording, SEGMENT},
};
use crate::{
    document::{Description, Index, Tree},
    recorder::core::Core,
};

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

/// Nothing but the entity, since it moves a lot.
#[derive(Debug)]
struct Guard(Entity);

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() && self.0.is_to_blame() {
            self.0.add_cause(Description::of_unknown_panic);
            self.0.set_fault();
        }
        self.0.close();
    }
}

macro_rules! guard {
    ($guard:ident) => {
        impl $guard {
            pub(crate) const fn new(entity: Entity) -> Self {
                Self(Guard(entity))
            }

            /// Closes it now.
            pub fn close(self) {}

            /// The handle that can be kept longer than this guard.
            #[must_use]
            pub fn entity(&self) -> &Entity {
                &self.0.0
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

impl Entity {
    /// Begins a subsegment. It closes when it is dropped.
    ///
    /// The name has at most 200 characters out of letters, numbers, spaces and `_ . : / % & # = + - @`; other ones
    /// become `_` (X-Ray segment documents).
    pub fn begin_subsegment(&self, name: &str) -> Subsegment {
        self.begin_subsegment_ago(name, Duration::ZERO, |_, _| {})
    }

    /// Begins a subsegment that is told of late: it began so long `ago`, but not before this entity.
    pub(crate) fn begin_subsegment_ago(
        &self,
        name: &str,
        ago: Duration,
        describe: impl FnOnce(&mut Tree, Index),
    ) -> Subsegment {
        Subsegment::new(match &self.0 {
            State::Recorded { recording, index, id } => {
                let (index, id) = recording.open(name, ago, *index, *id, describe);
                Self::recorded(recording.clone(), index, id)
            }
            _ => self.clone(),
        })
    }
}

impl Segment {
    /// Begins a segment that is recorded.
    pub(crate) fn begin(core: Arc<Core>, beginning: Beginning<'_>, describe: impl FnOnce(&mut Tree, Index)) -> Self {
        let (recording, id) = Recording::begin(core, beginning, describe);
        Self::new(Entity::recorded(recording, SEGMENT, id))
    }
}

impl Subsegment {
    /// The thread panics, but not for its work.
    #[cold]
    pub(super) fn absolve(&self) {
        self.update(|node| node.is_blameless = true);
    }

    /// The entity without the guard: whoever has it has to [close](Entity::close) it.
    #[cfg(feature = "tracing-subscriber")]
    pub(crate) fn into_entity(mut self) -> Entity {
        std::mem::take(&mut self.0.0)
    }
}
