//! Calls to other services: what integrations are built on, those of this crate and your own.
//!
//! A [`Call`] is a subsegment of the current entity, from the moment a client is asked to the end of the answer. It has
//! a name (a node of the service map), a namespace, the tracing header for the callee, and an outcome.
//!
//! # Your own client
//!
//! [`capture`] is enough for a client that needs no header, such as that of a database: the call begins with the first
//! poll of the future, and an `Err` is its fault and cause.
//!
//! ```
//! use tower_xray::{call::{self, Call, CallFuture}, document::SqlField};
//!
//! # struct Client { host: String }
//! # impl Client { async fn send(&self, _: &str) -> Result<u64, std::io::Error> { Ok(1) } }
//! impl Client {
//!     async fn get(&self, key: &str) -> Result<u64, std::io::Error> {
//!         // The key is not recorded: it may name a person.
//!         let call = Call::builder(&self.host).sql(&[(SqlField::DatabaseType, "Redis")]);
//!         call::capture(call, self.send(key)).await
//!     }
//! }
//! ```
//!
//! A client that sends the trace along begins the call first, writes its header into the request or message, and runs the
//! rest as part of it:
//!
//! ```
//! use tower_xray::{call::Call, document::Namespace};
//!
//! # struct Message { body: Vec<u8>, trace: Option<String> }
//! # async fn send(_: Message) -> Result<(), std::io::Error> { Ok(()) }
//! async fn publish(topic: &str, body: Vec<u8>) -> Result<(), std::io::Error> {
//!     let call = Call::builder(topic).begin();
//!     let trace = call.header().map(|header| header.to_field());
//!     call.run(send(Message { body, trace })).await
//! }
//! ```
//!
//! The consumer continues the trace with [`Recorder::begin_segment_from`](crate::Recorder::begin_segment_from), or with
//! [`Recorder::begin_batch`](crate::Recorder::begin_batch) for several messages.
//!
//! For HTTP, [`Call::http`] describes the request, [`Call::write_header`] writes the header, [`Call::enter`] runs each
//! poll, and [`Call::follow`] ends the call with the body of the response. [`XRayClientLayer`](crate::XRayClientLayer) is
//! no more than that.
//!
//! # How a call ends
//!
//! | what happens | method | recorded |
//! |---|---|---|
//! | an answer | [`Call::end`] | nothing more |
//! | an error | [`Call::fail`], [`capture`], [`Call::run`] | a fault, and the error with its sources as the cause |
//! | an answer that is a failure | [`Call::set_status`], [`Call::fail_with`] | the flags of its [`Class`], and its [`Failure`] |
//! | a panic | [`Call::enter`] and everything that polls | a fault with the panic as the cause; it goes on |
//! | nothing waits for it any more | [`Call::cancel`], or the call is dropped | the annotation `cancelled`; no error, no fault |
//!
//! Abandoned work is never a fault of the callee, wherever it is abandoned: a call without a response, a body that is
//! dropped half-way, a query in a `select!`.
//!
//! # Outside of a trace
//!
//! There is nothing to be part of, and the call goes through. A client that has a [`MissingContext`] logs it.

mod body;
mod builder;
mod current;
mod failure;
mod future;
mod missing_context;
mod running;
mod target;

pub use self::{
    body::ResponseBody,
    builder::CallBuilder,
    current::{count_attempt, is_current},
    failure::Failure,
    future::{BeginCall, CallFuture, capture, capture_with},
    missing_context::MissingContext,
    running::Call,
};
pub use crate::classify::Class;
