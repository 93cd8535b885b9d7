//! The entities of one trace in one process, while they are open and until they are sent.
//!
//! In: entities that open, gain attributes and close. Out: the same tree, or a completed part of it, to be sent.

mod arena;
mod detach;
mod details;
mod lookup;
mod node;

pub use self::node::{Namespace, SqlField};
pub(crate) use self::{
    arena::Tree,
    node::{Cut, Detail, Http, Index, NONE, Node, Scalar, Text},
};
