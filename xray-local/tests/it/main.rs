//! Through the public API: datagrams and calls in; traces, problems, pictures and answers out.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod daemon;
mod datagrams;
mod documents;
mod drawing;
mod sampling;
mod support;
