//! Calls by the public API, as an integration makes them.

mod ended;
mod recorded;
