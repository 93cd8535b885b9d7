//! In: connections on a TCP socket. Out: answers to HTTP requests.

pub(crate) mod tcp;
