//! Through the public API, from a request to the documents it emits.

mod support;

mod client;
mod local;
mod server;
