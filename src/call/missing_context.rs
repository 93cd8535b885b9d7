//! What to log about calls outside of any trace.
//!
//! In: a call that belongs to no entity. Out: an event of `tracing`, or nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::environment::{self, ContextMissing, Environment};

/// Logs calls that are made outside of any trace, as [`ContextMissing`] says. A client has one; clones share what is
/// logged only once.
///
/// `AWS_XRAY_CONTEXT_MISSING` overrides what the code sets. It is read where the [`Recorder`](crate::Recorder) that was
/// built last has read its environment, or in the process environment while there is no recorder.
#[derive(Clone, Debug)]
pub struct MissingContext {
    in_code: ContextMissing,
    /// What the process environment said when this was made.
    in_process: Option<ContextMissing>,
    /// It has been logged as an error.
    logged: Arc<AtomicBool>,
}

impl MissingContext {
    /// Logs like this, unless the environment overrides it.
    #[must_use]
    pub fn new(context_missing: ContextMissing) -> Self {
        let in_process = Environment::process().context_missing();
        Self { in_code: context_missing, in_process, logged: Arc::default() }
    }

    /// Sets what is logged, unless the environment overrides it.
    pub fn set(&mut self, context_missing: ContextMissing) {
        self.in_code = context_missing;
    }

    /// Logs a call.
    pub fn report(&self) {
        match environment::context_missing(self.in_process).unwrap_or(self.in_code) {
            ContextMissing::IgnoreError => {}
            ContextMissing::LogDebug => tracing::debug!("a call is not traced: it belongs to no segment"),
            ContextMissing::LogError => {
                if !self.logged.swap(true, Relaxed) {
                    tracing::error!("calls are not traced: they belong to no segment (said once)");
                }
            }
        }
    }
}

impl Default for MissingContext {
    fn default() -> Self {
        Self::new(ContextMissing::default())
    }
}
