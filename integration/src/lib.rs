//! Nothing: this crate is its tests and its examples, and the snippets of the README.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
