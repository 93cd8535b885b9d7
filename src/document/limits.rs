//! The limits of documents, and the namespace of metadata that this crate writes itself.
//!
//! In: nothing. Out: what names, texts, entities and whole documents are held to. A limit that one file alone needs is
//! in that file.

/// X-Ray segment documents: 64 kB.
pub const MAX_DOCUMENT: usize = 64_000;

/// Subsegments are embedded this deep; common JSON parsers give up at 128 levels, of which each subsegment takes two.
pub(crate) const MAX_DEPTH: usize = 40;

/// X-Ray segment documents: names have at most 200 characters.
pub(crate) const MAX_NAME: usize = 200;
/// X-Ray segment documents: strings have at most 250 characters if nothing else is said.
pub(crate) const MAX_STRING: usize = 250;
/// X-Ray segment documents: annotation keys have at most 500 characters.
pub(crate) const MAX_KEY: usize = 500;
/// X-Ray segment documents: annotation values have at most 1,000 characters. Messages are held to the same.
pub(crate) const MAX_VALUE: usize = 1_000;
/// Characters of the text of a SQL statement.
pub(crate) const MAX_STATEMENT: usize = 4_000;

/// X-Ray segment documents: 20 links per segment.
pub(crate) const MAX_LINKS: usize = 20;

/// The namespace of metadata that this crate writes itself.
pub(crate) const OWN_NAMESPACE: &str = "tower_xray";
