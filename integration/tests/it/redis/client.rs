//! A traced client of Redis, on nothing but what tower-xray makes public.
//!
//! In: commands, pipelines and messages. Out: the same answers, and a call for each: named after the server, with the name
//! of the command, without its keys and values. Messages carry the trace to their receivers.

use std::sync::Arc;

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerError, Value,
    aio::{ConnectionLike, MultiplexedConnection, PubSub},
};
use serde_json::json;
use tokio_stream::StreamExt;
use tower_xray::{
    Recorder, Segment, TraceHeader,
    call::{self, Call, CallBuilder, Class, Failure, MissingContext},
    document::{AnnotationValue, SqlField},
};

/// A server whose connections are traced.
#[derive(Clone)]
pub(crate) struct Client {
    inner: redis::Client,
    server: Arc<Server>,
}

/// What all calls of a server share.
struct Server {
    name: String,
    /// What no error may repeat.
    secrets: Arc<[String]>,
    missing_context: MissingContext,
}

/// A connection every command of which is a call. It has all methods of `redis::AsyncCommands`.
#[derive(Clone)]
pub(crate) struct Connection<C = MultiplexedConnection> {
    inner: C,
    server: Arc<Server>,
}

/// The messages of a channel: each of them is work of its own.
pub(crate) struct Subscription {
    messages: PubSub,
    recorder: Recorder,
    name: &'static str,
}

impl Client {
    pub(crate) fn open(url: &str, missing_context: MissingContext) -> RedisResult<Self> {
        let inner = redis::Client::open(url)?;
        let info = inner.get_connection_info();
        let secrets = info.redis_settings().password().map(str::to_owned).into_iter().collect();
        let server = Server { name: info.addr().to_string(), secrets, missing_context };
        Ok(Self { inner, server: server.into() })
    }

    /// The node of the service map.
    pub(crate) fn name(&self) -> &str {
        &self.server.name
    }

    pub(crate) async fn connect(&self, config: &AsyncConnectionConfig) -> RedisResult<Connection> {
        let annotations = [("operation", "connect".into())];
        let connect = self.inner.get_multiplexed_async_connection_with_config(config);
        let inner = call::capture_with(self.server.call(&annotations), connect, end).await?;
        Ok(self.trace(inner))
    }

    /// Traces a connection that there is already.
    pub(crate) fn trace<C>(&self, inner: C) -> Connection<C> {
        Connection { inner, server: self.server.clone() }
    }

    /// Receives the messages of a channel, in segments of this name.
    pub(crate) async fn subscribe(
        &self,
        channel: &str,
        recorder: &Recorder,
        name: &'static str,
    ) -> RedisResult<Subscription> {
        let annotations = [("operation", "SUBSCRIBE".into())];
        let subscribe = async {
            let mut messages = self.inner.get_async_pubsub().await?;
            messages.subscribe(channel).await?;
            Ok(messages)
        };
        let messages = call::capture_with(self.server.call(&annotations), subscribe, end).await?;
        Ok(Subscription { messages, recorder: recorder.clone(), name })
    }
}

impl Server {
    fn call<'a>(&'a self, annotations: &'a [(&'a str, AnnotationValue<'a>)]) -> CallBuilder<'a> {
        Call::builder(&self.name)
            .sql(&[(SqlField::DatabaseType, "Redis")])
            .annotations(annotations)
            .redact(&self.secrets)
            .missing_context(&self.missing_context)
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for Connection<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let Self { inner, server } = self;
        Box::pin(async move {
            let annotations = [("operation", operation(command).into())];
            let answer = async { inner.req_packed_command(command).await };
            call::capture_with(server.call(&annotations), answer, |call, answer| {
                end_with_values(call, answer.as_ref().map(std::slice::from_ref));
            })
            .await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let Self { inner, server } = self;
        Box::pin(async move {
            let operation = if pipeline.is_transaction() { "MULTI" } else { "pipeline" };
            let annotations = [("operation", operation.into()), ("commands", pipeline.len().into())];
            let answers = async { inner.req_packed_commands(pipeline, offset, count).await };
            call::capture_with(server.call(&annotations), answers, |call, answers| {
                end_with_values(call, answers.as_ref().map(Vec::as_slice));
            })
            .await
        })
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

impl<C: ConnectionLike> Connection<C> {
    /// Publishes a message that carries the trace. Returns the number of its receivers.
    pub(crate) async fn publish(&mut self, channel: &str, text: &str) -> RedisResult<u32> {
        let annotations = [("operation", "PUBLISH".into())];
        let call = self.server.call(&annotations).begin();
        // Messages of Redis have no headers, so it is a field of the content.
        let trace = call.header().map(|header| header.to_field());
        let message = json!({ "trace": trace, "text": text }).to_string();
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel).arg(message);
        call.run_with(publish.query_async(&mut self.inner), end).await
    }
}

impl Subscription {
    /// Waits for a message. The segment is its work, and part of the trace in which it was published.
    pub(crate) async fn next(&mut self) -> Option<(Segment, String)> {
        let message = self.messages.on_message().next().await?;
        let payload = String::from_utf8_lossy(message.get_payload_bytes());
        // One that another program has published is text, and begins a trace.
        let fields: serde_json::Value = serde_json::from_str(&payload).unwrap_or_default();
        let header: Option<TraceHeader> = fields["trace"].as_str().and_then(|field| field.parse().ok());
        let text = fields["text"].as_str().unwrap_or(&payload).to_owned();
        Some((self.recorder.begin_segment_from(self.name, header.as_ref()), text))
    }
}

/// The name of a command. What follows may be a key.
fn operation(command: &Cmd) -> &str {
    match command.args_iter().next() {
        Some(redis::Arg::Simple(name)) => std::str::from_utf8(name).unwrap_or("unknown"),
        _ => "unknown",
    }
}

fn end<T>(call: Call, result: &RedisResult<T>) {
    match result {
        Ok(_) => call.end(),
        Err(error) => call.fail_with(|| failure(error)),
    }
}

/// Ends a call whose answer may be an error: below its conversions, the crate has these among the values.
fn end_with_values(call: Call, result: Result<&[Value], &RedisError>) {
    match result.map(refused) {
        Ok(None) => call.end(),
        Ok(Some(error)) => call.fail_with(|| refusal(error)),
        Err(error) => call.fail_with(|| failure(error)),
    }
}

/// The first error among values; those of a transaction are an array.
fn refused(values: &[Value]) -> Option<&ServerError> {
    values.iter().find_map(|value| match value {
        Value::ServerError(error) => Some(error),
        Value::Array(values) => refused(values),
        _ => None,
    })
}

fn failure(error: &RedisError) -> Failure {
    match error.clone().into_server_errors().as_deref() {
        Some([(_, error), ..]) => refusal(error),
        _ if error.kind() == ErrorKind::AuthenticationFailed => Failure::of(error).class(Class::Error),
        // A connection, a timeout: the server has not answered.
        _ => Failure::of(error).local(),
    }
}

/// An error that the server has answered with.
fn refusal(error: &ServerError) -> Failure {
    let class = match error.code() {
        // The server cannot, whoever asks.
        "BUSY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "MISCONF" | "NOREPLICAS" | "OOM" | "READONLY"
        | "TRYAGAIN" => Class::Fault,
        _ => Class::Error,
    };
    let message = error.details().unwrap_or("the server gave no message");
    // Redis repeats keys and values where it does not know a command.
    let message = message.split(", with args beginning with").next().unwrap_or(message);
    Failure::new(error.code(), message).class(class)
}
