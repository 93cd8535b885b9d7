//! Documents as datagrams to the X-Ray daemon, the CloudWatch agent or an OpenTelemetry collector.
//!
//! In: closed segments. Out: one datagram for each document, in short bursts. A daemon that does not listen is a normal
//! state.

mod connection;
mod emitter;
mod gso;
mod sender;

pub use self::emitter::{UdpEmitter, UdpEmitterBuilder};
