//! Through the public API, from a request to the documents it emits.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod support;

mod client;
mod local;
mod server;
