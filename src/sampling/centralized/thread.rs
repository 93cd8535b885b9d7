//! The poller's thread: it starts with the first decision, so that a program that never samples has none.
//!
//! In: a poller, and decisions. Out: a running poller, unless the strategy ends before.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use super::Poller;

/// Starts the poller's thread on first use.
pub(super) struct StartOnFirstUse {
    /// The thread runs, or is not wanted.
    done: AtomicBool,
    poller: Mutex<Option<Poller>>,
}

impl StartOnFirstUse {
    /// Without a poller there is nothing to start.
    pub(super) fn new(poller: Option<Poller>) -> Self {
        Self { done: AtomicBool::new(poller.is_none()), poller: Mutex::new(poller) }
    }

    /// Starts the thread, unless another caller has; that one does not wait.
    pub(super) fn start(&self) {
        if self.done.load(Relaxed) || self.done.swap(true, Relaxed) {
            return;
        }
        if let Some(Err(error)) = self.take().map(spawn) {
            tracing::error!("sampling rules are not fetched: {error}");
        }
    }

    /// From now on, no use starts it.
    pub(super) fn cancel(&self) {
        self.done.store(true, Relaxed);
        drop(self.take());
    }

    fn take(&self) -> Option<Poller> {
        self.poller.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn spawn(poller: Poller) -> io::Result<()> {
    let run = move || match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime.block_on(poller.run()),
        Err(error) => tracing::error!("sampling rules are not fetched: {error}"),
    };
    thread::Builder::new().name("xray-sampling".to_owned()).stack_size(512 * 1024).spawn(run).map(drop)
}
