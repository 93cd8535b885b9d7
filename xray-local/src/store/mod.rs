//! In: accepted documents and problems. Out: traces and problems, within fixed bounds, and counts.

pub(crate) mod stats;
pub(crate) mod traces;
