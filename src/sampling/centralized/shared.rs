//! What the strategy and its poller have in common.
//!
//! In: rules that the poller has fetched. Out: the rules that are in force, and the end of polling.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::manifest::{Current, Manifest};
use crate::{clock::Clock, sampling::Outcome};

/// What the strategy and its poller have in common.
pub(super) struct Shared {
    pub(super) current: Current,
    pub(super) anomaly: Arc<Anomaly>,
    pub(super) clock: Clock,
    pub(super) stop: Notify,
}

/// Whether a request has ended as it should not.
pub(super) type Anomaly = dyn Fn(&Outcome<'_>) -> bool + Send + Sync;

impl Shared {
    /// The rules, unless there are none yet or none any more.
    pub(super) fn fresh(&self, now: Duration) -> Option<Arc<Manifest>> {
        self.current.get().filter(|manifest| manifest.is_fresh(now))
    }
}
