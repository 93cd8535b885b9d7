//! A local X-Ray daemon: see traces on a laptop, without AWS.
//!
//! [`LocalDaemon`] listens on UDP as the X-Ray daemon does and takes what the SDK of any language
//! sends to it. It checks each document by the rules of AWS and of the OpenTelemetry collector,
//! groups the good ones by trace, and draws each [`Trace`] as a tree. Nothing leaves the machine.
//! The program `xray-local` does so on a terminal.
//!
//! The checks stand alone too: [`check_document`] and [`check_datagram`] tell what a reader of the
//! documents would refuse, which serves the tests of anyone who writes some.
//!
//! On TCP, at the same port, it answers X-Ray's two sampling calls, `GetSamplingRules` and `SamplingTargets`, with
//! [`SamplingRules`] that it is given, so that central sampling can be tried. It has one client or many: they share
//! the reservoirs of the rules, and [`SamplingReport`]s sum up what they say.
//!
//! # Example
//!
//! ```
//! use std::net::UdpSocket;
//! use std::time::Duration;
//! use tower_xray::local::{LocalDaemon, RenderOptions};
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

mod calls;
mod check;
mod daemon;
mod datagram;
mod describe;
mod exceptions;
mod fields;
mod forms;
mod line;
mod measure;
mod options;
mod problem;
mod render;
mod rule_file;
mod sampling;
mod store;
mod tables;
mod tcp;
mod text;
mod timeline;
mod trace;
mod values;

pub use self::{
    check::check_document,
    daemon::{LocalDaemon, LocalStats},
    datagram::check_datagram,
    options::RenderOptions,
    problem::{Problem, Severity},
    rule_file::SamplingRules,
    sampling::SamplingReport,
    trace::Trace,
};
