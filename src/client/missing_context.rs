//! What is said about calls outside of any trace.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::{context::ContextMissing, environment::Environment};

/// Says what [`ContextMissing`] wants; clones say together what is said once.
#[derive(Clone, Debug)]
pub(crate) struct MissingContext {
    worth: ContextMissing,
    /// It has been reported as an error.
    reported: Arc<AtomicBool>,
}

impl MissingContext {
    /// The environment has the last word.
    pub(crate) fn set(&mut self, worth: ContextMissing) {
        self.worth = Environment::process().context_missing().unwrap_or(worth);
    }

    pub(crate) fn report(&self) {
        match self.worth {
            ContextMissing::IgnoreError => {}
            ContextMissing::LogDebug => tracing::debug!("a call is not traced: it belongs to no segment"),
            ContextMissing::LogError => {
                if !self.reported.swap(true, Relaxed) {
                    tracing::error!("calls are not traced: they belong to no segment (said once)");
                }
            }
        }
    }
}

impl Default for MissingContext {
    fn default() -> Self {
        let worth = Environment::process().context_missing().unwrap_or_default();
        Self { worth, reported: Arc::default() }
    }
}
