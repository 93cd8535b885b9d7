//! Nothing: this crate is its tests and its examples.
