//! Requests over real sockets, and the segments they leave.

mod closing;
mod contract;
mod decision;
mod edge;
pub(crate) mod grpc;
mod hostile;
mod http2;
mod layers;
mod lengths;
mod nested;
mod request;
mod stack;
mod streams;
