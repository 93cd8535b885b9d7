//! The role of a strategy, which a program may play, too.
//!
//! In: requests, and how they have ended. Out: decisions, and what they were so far.

use std::sync::Arc;

use super::{Decision, Outcome, SamplingRequest, SamplingStats};

/// Decides whether a segment is recorded.
///
/// It runs on the request path, so it must not block. A panic is caught and counted
/// ([`Stats::strategy_panics`](crate::recorder::Stats::strategy_panics)); one of [`decide`](Self::decide) means "not
/// sampled". Only [`stats`](Self::stats) is called where a panic is the caller's.
pub trait SamplingStrategy: Send + Sync {
    /// Decides about one segment.
    fn decide(&self, request: &SamplingRequest<'_>) -> Decision;

    /// Returns whether [`observe`](Self::observe) is to be called.
    fn wants_outcomes(&self) -> bool {
        false
    }

    /// Called when a request that a rule decided has finished, if the strategy
    /// [wants that](Self::wants_outcomes). It runs on the request path, too.
    fn observe(&self, outcome: &Outcome<'_>) {
        let _ = outcome;
    }

    /// Returns what was decided so far, by rule.
    fn stats(&self) -> SamplingStats {
        SamplingStats::default()
    }

    /// Called when the recorder is shut down: ends what the strategy does in the background.
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
