//! Time: the wall clock once when a segment begins, a monotonic clock from there on.
//!
//! In: the system's clocks, or those of a test. Out: the time since the epoch, and moments that only go forward.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Where the time comes from.
#[derive(Clone, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    /// Time since the epoch, as a test says.
    Given(Arc<dyn Fn() -> Duration + Send + Sync>),
}

/// When a segment began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    since_epoch: Duration,
    instant: Option<Instant>,
}

impl Clock {
    /// The wall clock; a clock before 1970 stands at the epoch.
    pub(crate) fn since_epoch(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Given(now) => now(),
        }
    }

    /// A segment begins at this reading of the wall clock.
    pub(crate) fn begin(&self, since_epoch: Duration) -> Moment {
        Moment { since_epoch, instant: matches!(self, Self::System).then(Instant::now) }
    }
}

impl Moment {
    /// Microseconds since the epoch.
    pub(crate) fn micros(self) -> u64 {
        self.since_epoch.as_micros() as u64
    }

    /// Microseconds since the epoch by now, whatever the wall clock has done in between.
    pub(crate) fn now_micros(self, clock: &Clock) -> u64 {
        match self.instant {
            Some(began) => (self.since_epoch + began.elapsed()).as_micros() as u64,
            None => clock.since_epoch().max(self.since_epoch).as_micros() as u64,
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
