//! In: parsed documents. Out: what AWS or a collector would refuse in them, and what is untidy.

pub(crate) mod document;
mod fields;
mod forms;
pub(crate) mod problem;
mod tables;
