//! In: accepted documents. Out: traces, and the trees of their entities.

pub(crate) mod entity;
pub(crate) mod forest;
pub(crate) mod trace;
