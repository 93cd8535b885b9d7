//! Where an entity that has much of it has its annotations, metadata and fields of `aws`.
//!
//! In: a namespace and a key. Out: the place of the attribute, without a search.

use std::collections::HashMap;

use super::node::Index;
use crate::id::SegmentId;

/// What can be replaced in entities that have much of it.
pub(super) type Lookup = HashMap<SegmentId, HashMap<Name, Index>>;

/// What tells annotations and metadata of one entity apart: the namespace of metadata, and the key in lower case.
pub(super) type Name = (Option<String>, String);

pub(super) fn name(namespace: Option<&str>, key: &str) -> Name {
    (namespace.map(str::to_owned), key.to_ascii_lowercase())
}
