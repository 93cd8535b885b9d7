//! A local X-Ray daemon: see traces on a laptop, without AWS.
//!
//! [`LocalDaemon`] listens on UDP as the X-Ray daemon does, and takes the traces of the X-Ray SDKs of all languages. It
//! checks each document by the rules of AWS and of the OpenTelemetry collector, groups the accepted ones by trace, and
//! draws each [`Trace`] as a tree. Nothing leaves the machine. The program `xray-local` does the same on a terminal.
//!
//! The checks can be used alone: [`check_document`] and [`check_datagram`] report what AWS or a collector would refuse.
//! They serve the tests of programs that write segment documents.
//!
//! On TCP, at the same port, the daemon answers X-Ray's two sampling calls, `GetSamplingRules` and `SamplingTargets`,
//! with [`SamplingRules`] that you provide, to try central sampling. All clients share the reservoirs of the rules, and
//! [`SamplingReport`]s sum up what the clients report.
//!
//! # Example
//!
//! ```
//! use std::net::UdpSocket;
//! use std::time::Duration;
//! use xray_local::{LocalDaemon, RenderOptions};
//!
//! let daemon = LocalDaemon::bind("127.0.0.1:0")?;
//!
//! let datagram = concat!(
//!     r#"{"format":"json","version":1}"#,
//!     "\n",
//!     r#"{"name":"orders","id":"9f2c4b7a1e5d3086","trace_id":"1-68a1f0c4-7b3e9d215f80a6c4e2b71d09","#,
//!     r#""start_time":1755443396.104,"end_time":1755443396.391,"#,
//!     r#""http":{"request":{"method":"GET","url":"http://localhost/orders/42"},"response":{"status":200}}}"#,
//! );
//! UdpSocket::bind("127.0.0.1:0")?.send_to(datagram.as_bytes(), daemon.local_addr())?;
//!
//! assert!(daemon.wait_for(1, Duration::from_secs(5)));
//! for trace in daemon.take_settled(Duration::ZERO) {
//!     print!("{}", trace.render(&RenderOptions::default()));
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod check;
mod clock;
mod daemon;
mod measure;
mod model;
mod options;
mod receive;
mod sampling;
mod store;
mod terminal;
mod text;
mod web;

pub use self::{
    check::{
        document::check_document,
        problem::{Problem, Severity},
    },
    daemon::LocalDaemon,
    model::trace::Trace,
    options::RenderOptions,
    receive::datagram::check_datagram,
    sampling::{quotas::SamplingReport, rule::SamplingRules},
    store::stats::LocalStats,
};

/// Its snippets are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
