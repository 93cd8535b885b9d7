//! Calls to other services: what integrations are built on, those of this crate and your own.
//!
//! A [`Call`] is a subsegment of the current entity, from the moment a client is asked to the end of the answer. It has
//! a name (a node of the service map), a namespace, the tracing header for the callee, and an outcome.
//!
//! # Your own client
//!
//! Describe what all calls have in common once, beside the client. Then run each request as a call: it begins with the
//! first poll of the future, and [`capture`] records an `Err` as its fault and cause.
//!
//! ```
//! use std::sync::Arc;
//!
//! use tower_xray::{
//!     call::{self, CallBuilder, Call, MissingContext},
//!     document::{AnnotationValue, SqlField},
//! };
//!
//! struct Cache {
//!     host: String,
//!     secrets: Arc<[String]>,
//!     missing_context: MissingContext,
//! }
//!
//! impl Cache {
//!     fn call<'a>(&'a self, annotations: &'a [(&'a str, AnnotationValue<'a>)]) -> CallBuilder<'a> {
//!         Call::builder(&self.host) // a node of the service map
//!             .sql(&[(SqlField::DatabaseType, "Redis")]) // which is drawn as a database
//!             .annotations(annotations)
//!             .redact(&self.secrets) // errors do not repeat the password
//!             .missing_context(&self.missing_context)
//!     }
//!
//!     async fn get(&self, key: &str) -> Result<u64, std::io::Error> {
//!         // The key is not recorded: it may name a person.
//!         let annotations = [("operation", "GET".into())];
//!         call::capture(self.call(&annotations), async { self.send(key).await }).await
//!     }
//! #   async fn send(&self, _: &str) -> Result<u64, std::io::Error> { Ok(1) }
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), std::io::Error> {
//! # let secrets = ["open sesame".to_owned()].into();
//! # Cache { host: "cache.internal".to_owned(), secrets, missing_context: MissingContext::default() }.get("stock").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The request is made inside an `async` block, so that everything the client does is part of the call, also what it does
//! before it returns a future.
//!
//! # Errors of your own client
//!
//! [`capture_with`] ends the call by the output, whatever its type. It is for clients whose failures differ: one that the
//! callee has answered with belongs to the callee, and counts as its code says; a timeout or a connection that is refused
//! is [local](Failure::local); and an answer may be an error although there is no `Err`.
//!
//! ```
//! use tower_xray::call::{self, Call, Class, Failure};
//!
//! enum Answer {
//!     Value(u64),
//!     Refused { code: String, message: String },
//! }
//! # async fn send(_: &str) -> Result<Answer, std::io::Error> {
//! #     Ok(Answer::Refused { code: "WRONGTYPE".to_owned(), message: "Operation against a list".to_owned() })
//! # }
//!
//! fn end(call: Call, result: &Result<Answer, std::io::Error>) {
//!     match result {
//!         Ok(Answer::Value(_)) => call.end(),
//!         Ok(Answer::Refused { code, message }) => call.fail_with(|| {
//!             let class = if code == "LOADING" { Class::Fault } else { Class::Error };
//!             Failure::new(code, message).class(class)
//!         }),
//!         Err(error) => call.fail_with(|| Failure::of(error).local()),
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let answer = call::capture_with(Call::builder("cache.internal"), send("stock:42"), end).await;
//! # }
//! ```
//!
//! # Messages
//!
//! A client that sends the trace along begins the call first, writes its header into the request or message, and runs the
//! rest as part of it. What is not sampled is told so: the header is there also if nothing is recorded.
//!
//! ```
//! use tower_xray::{FutureExt, Recorder, TraceHeader, call::Call};
//!
//! struct Message {
//!     body: Vec<u8>,
//!     trace: Option<String>,
//! }
//! # async fn send(_: Message) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn handle(_: &Message) -> Result<(), std::io::Error> { Ok(()) }
//!
//! async fn publish(topic: &str, body: Vec<u8>) -> Result<(), std::io::Error> {
//!     let call = Call::builder(topic).begin();
//!     let trace = call.header().map(|header| header.to_field());
//!     call.run(send(Message { body, trace })).await
//! }
//!
//! // Every message is work of its own: a segment, which continues the trace. Waiting for messages is part of none.
//! async fn receive(recorder: &Recorder, message: &Message) {
//!     let header: Option<TraceHeader> = message.trace.as_ref().and_then(|field| field.parse().ok());
//!     let segment = recorder.begin_segment_from("order-worker", header.as_ref());
//!     if let Err(error) = handle(message).in_entity(&segment).await {
//!         segment.add_fault(&error);
//!     }
//!     segment.close();
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let recorder = Recorder::builder().build()?;
//! # publish("orders", Vec::new()).await?;
//! # receive(&recorder, &Message { body: Vec::new(), trace: None }).await;
//! # Ok(())
//! # }
//! ```
//!
//! Several messages at once are one segment with links to their traces:
//! [`Recorder::begin_batch`](crate::Recorder::begin_batch). Headers that are bytes convert, too: `TraceHeader::try_from`.
//!
//! # HTTP
//!
//! [`Call::http`] describes the request, [`Call::write_header`] writes the header, [`Call::enter`] runs each poll, and
//! [`Call::follow`] ends the call with the body of the response. [`XRayClientLayer`](crate::XRayClientLayer) does no more
//! than that.
//!
//! # How a call ends
//!
//! | what happens | method | recorded |
//! |---|---|---|
//! | an answer | [`Call::end`] | nothing more |
//! | an error | [`Call::fail`], [`Call::end_with`], [`capture`], [`Call::run`] | a fault, and the error with its sources as the cause |
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
