//! Requests over real sockets, and the segments they leave.

mod closing;
mod contract;
mod decision;
mod grpc;
mod nested;
mod request;
