//! Pages for reading, with examples that are tests.

#[doc = include_str!("docs/faults.md")]
pub mod faults {}

#[doc = include_str!("docs/limits.md")]
pub mod limits {}

#[doc = include_str!("docs/performance.md")]
pub mod performance {}

#[doc = include_str!("docs/sampling.md")]
pub mod sampling {}
