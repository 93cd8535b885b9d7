//! In: nothing, or a clock of a test. Out: the time since the Unix epoch.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    Given(Arc<dyn Fn() -> Duration + Send + Sync>),
}

impl Clock {
    /// A system clock before 1970 stands at the epoch.
    pub(crate) fn since_epoch(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Given(now) => now(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Given(_) => "Given",
        })
    }
}
