//! In: datagrams on a UDP socket. Out: parsed documents and the problems with them.

pub(crate) mod datagram;
pub(crate) mod ingest;
pub(crate) mod socket;
