//! Strategies that need no rules.
//!
//! In: any request. Out: always the same decision.

use super::{Decision, SamplingRequest, SamplingStrategy};

/// Records every segment.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleAll;

impl SamplingStrategy for SampleAll {
    fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
        Decision::new(true)
    }
}

/// Records no segment, except where the caller has decided otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct SampleNone;

impl SamplingStrategy for SampleNone {
    fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
        Decision::new(false)
    }
}
