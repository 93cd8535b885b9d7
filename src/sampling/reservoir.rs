//! The number of requests per second that are recorded before the fixed rate applies.
//!
//! In: a size, and the second of a request. Out: whether there is room for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Grants up to `size` requests in every whole second.
///
/// ```
/// use tower_xray::sampling::Reservoir;
///
/// let reservoir = Reservoir::new(1);
/// assert!(reservoir.take(1_755_443_396));
/// assert!(!reservoir.take(1_755_443_396));
/// assert!(reservoir.take(1_755_443_397));
/// ```
#[derive(Debug)]
pub struct Reservoir {
    size: u32,
    /// The second in the upper half, what was granted in it in the lower.
    used: AtomicU64,
}

impl Reservoir {
    /// A full reservoir; size 0 never grants anything.
    #[must_use]
    pub const fn new(size: u32) -> Self {
        Self { size, used: AtomicU64::new(0) }
    }

    /// Takes one request out of what is left in `second` (since the epoch); false if nothing is.
    ///
    /// A request that has read the clock just before the second ended counts for the next one if that has begun.
    #[must_use]
    pub fn take(&self, second: u64) -> bool {
        let second = second & u64::from(u32::MAX);
        let grant = |state: u64| {
            let current = state >> 32;
            let (second, used) = match current == second || current == second + 1 {
                true => (current, state & u64::from(u32::MAX)),
                false => (second, 0),
            };
            (used < u64::from(self.size)).then_some(second << 32 | (used + 1))
        };
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant).is_ok()
    }
}
