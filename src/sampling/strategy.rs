//! The role of a strategy, which a program may play, too.
//!
//! In: requests, and how they have ended. Out: decisions, and what they were so far.

use std::sync::Arc;

use super::{Decision, Outcome, SamplingRequest, SamplingStats};

/// Decides whether a segment is recorded.
///
/// It runs on the request path, so it must not block. A panic is caught, counted
/// ([`Stats::strategy_panics`](crate::recorder::Stats::strategy_panics)), and means "not sampled".
pub trait SamplingStrategy: Send + Sync {
    /// Decides about one segment.
    fn decide(&self, request: &SamplingRequest<'_>) -> Decision;

    /// Whether it wants to know how the requests end about which it decides.
    fn wants_outcomes(&self) -> bool {
        false
    }

    /// Hears how a request has ended about which one of its rules has decided, if it
    /// [wants to](Self::wants_outcomes). This runs on the request path, too.
    fn observe(&self, outcome: &Outcome<'_>) {
        let _ = outcome;
    }

    /// What it has decided so far, by rule.
    fn stats(&self) -> SamplingStats {
        SamplingStats::default()
    }

    /// The recorder is shut down: what the strategy does in the background ends.
    fn shutdown(&self) {}
}

macro_rules! impl_for_pointer {
    ($pointer:ident) => {
        impl<S: SamplingStrategy + ?Sized> SamplingStrategy for $pointer<S> {
            fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
                (**self).decide(request)
            }

            fn wants_outcomes(&self) -> bool {
                (**self).wants_outcomes()
            }

            fn observe(&self, outcome: &Outcome<'_>) {
                (**self).observe(outcome);
            }

            fn stats(&self) -> SamplingStats {
                (**self).stats()
            }

            fn shutdown(&self) {
                (**self).shutdown();
            }
        }
    };
}

impl_for_pointer!(Arc);
impl_for_pointer!(Box);
