//! Redis, traced by a client that is written on the public API: every command, pipeline and message.

mod client;
mod ends;
mod messages;

use std::{env, time::Duration};

use redis::{AsyncCommands, AsyncConnectionConfig, RedisResult, Value, pipe};
use serde_json::json;
use tower_xray::{
    call::MissingContext,
    document::{EntityDocument, SegmentDocument},
};

use self::client::{Client, Connection};
use crate::{
    support::{assert_valid_json, in_segment},
    tree::tree,
};

/// The server, if it is there.
#[expect(clippy::disallowed_methods, reason = "the environment says where Redis is")]
fn url() -> Option<String> {
    let url = env::var("REDIS_URL").ok();
    if url.is_none() {
        println!("left out: REDIS_URL is not set (.ci/services sets it)");
    }
    url
}

fn client() -> Option<Client> {
    Some(Client::open(&url()?, MissingContext::default()).unwrap())
}

/// One that waits as long as it takes: the default of the crate is half a second.
fn patient() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

/// A connection that was made outside of any trace.
async fn connection() -> Option<(Client, Connection)> {
    let client = client()?;
    let connection = client.connect(&patient()).await.unwrap();
    Some((client, connection))
}

/// The calls of a segment, a line each. The port of the server is another one each time.
fn calls(document: &SegmentDocument, client: &Client) -> Vec<String> {
    let text = tree(std::slice::from_ref(document)).replace(client.name(), "redis");
    text.lines().skip(1).map(|line| line.trim_start().to_owned()).collect()
}

fn only_call(document: &SegmentDocument) -> EntityDocument<'_> {
    let calls: Vec<_> = document.subsegments().collect();
    let [call] = calls[..] else { panic!("one call: {document}") };
    call
}

#[tokio::test]
async fn a_command_is_a_call_of_its_server_without_its_key_and_value() {
    let Some((client, mut connection)) = connection().await else { return };
    let (stored, document) = in_segment(async {
        connection.set::<_, _, ()>("secret key", "secret value").await?;
        connection.get::<_, String>("secret key").await
    })
    .await;
    assert_eq!(stored.unwrap(), "secret value");
    assert_eq!(calls(&document, &client), ["redis operation=SET", "redis operation=GET"]);
    let json = assert_valid_json(&document.to_json());
    let call = &json["subsegments"][0];
    assert_eq!((&call["name"], &call["namespace"]), (&json!(client.name()), &json!("remote")));
    assert_eq!((&call["sql"], &call["cause"]), (&json!({ "database_type": "Redis" }), &json!(null)));
    assert!(!json.to_string().contains("secret") && !json.to_string().contains("sesame"), "{document}");
}

#[tokio::test]
async fn a_connection_is_a_call_when_it_is_made_within_a_trace() {
    let Some(client) = client() else { return };
    let (result, document) = in_segment(async {
        let mut connection = client.connect(&patient()).await?;
        connection.ping::<String>().await
    })
    .await;
    assert_eq!(result.unwrap(), "PONG");
    assert_eq!(calls(&document, &client), ["redis operation=connect", "redis operation=PING"]);
}

#[tokio::test]
async fn a_pipeline_is_one_call_that_has_the_number_of_its_commands() {
    let Some((client, mut connection)) = connection().await else { return };
    let mut commands = pipe();
    commands.set("pipeline", 1).ignore().incr("pipeline", 41).get("pipeline");
    let (result, document) = in_segment(commands.query_async::<(u32, u32)>(&mut connection)).await;
    assert_eq!(result.unwrap(), (42, 42));
    assert_eq!(calls(&document, &client), ["redis operation=pipeline commands=3"]);

    let (result, document) = in_segment(commands.atomic().query_async::<(u32, u32)>(&mut connection)).await;
    assert_eq!(result.unwrap(), (42, 42));
    assert_eq!(calls(&document, &client), ["redis operation=MULTI commands=3"]);
}

const WRONG_TYPE: &str = "remote WRONGTYPE: Operation against a key holding the wrong kind of value";

#[tokio::test]
async fn an_error_of_the_server_is_remote_and_has_its_code() {
    let Some((client, mut connection)) = connection().await else { return };
    let (result, document) = in_segment(async {
        connection.set::<_, _, ()>("text", "1").await?;
        connection.lpush::<_, _, u32>("text", "secret").await
    })
    .await;
    assert_eq!(result.unwrap_err().code(), Some("WRONGTYPE"));
    let expected = ["redis operation=SET", &format!("redis operation=LPUSH error | {WRONG_TYPE}")];
    assert_eq!(calls(&document, &client), expected);
}

#[tokio::test]
async fn the_first_error_within_a_pipeline_is_that_of_the_call() {
    let Some((client, mut connection)) = connection().await else { return };
    let mut commands = pipe();
    commands.set("mixed", "text").ignore().lpush("mixed", "secret").get("mixed");
    let (result, document) = in_segment(commands.query_async::<(u32, String)>(&mut connection)).await;
    result.unwrap_err();
    let expected = format!("redis operation=pipeline commands=3 error | {WRONG_TYPE}");
    assert_eq!(calls(&document, &client), [expected]);

    // The caller takes what there is.
    commands.ignore_errors();
    let (result, document) =
        in_segment(commands.query_async::<(RedisResult<u32>, RedisResult<String>)>(&mut connection)).await;
    let (refused, answered) = result.unwrap();
    assert_eq!((refused.is_err(), answered.unwrap()), (true, "text".to_owned()));
    assert!(only_call(&document).error(), "{document}");
}

#[tokio::test]
async fn a_transaction_fails_as_a_whole_or_in_part() {
    let Some((client, mut connection)) = connection().await else { return };
    let mut commands = pipe();
    commands.atomic().set("whole", "text").ignore().lpush("whole", "secret");
    let (result, document) = in_segment(commands.query_async::<(u32,)>(&mut connection)).await;
    result.unwrap_err();
    let expected = format!("redis operation=MULTI commands=2 error | {WRONG_TYPE}");
    assert_eq!(calls(&document, &client), [expected]);

    // A command that does not exist is refused before anything is done.
    let mut commands = pipe();
    commands.atomic().cmd("SESAME").arg("secret").set("whole", "text");
    let (result, document) = in_segment(commands.query_async::<(Value, Value)>(&mut connection)).await;
    result.unwrap_err();
    let expected = "redis operation=MULTI commands=2 error | remote ERR: unknown command 'SESAME'";
    assert_eq!(calls(&document, &client), [expected]);
}

#[tokio::test]
async fn a_script_that_runs_for_too_long_is_a_fault_of_the_server() {
    let Some((client, mut connection)) = connection().await else { return };
    let busy = "return redis.error_reply('BUSY Redis is busy running a script.')";
    let mut eval = redis::cmd("EVAL");
    let (result, document) = in_segment(eval.arg(busy).arg(0).query_async::<Value>(&mut connection)).await;
    result.unwrap_err();
    let expected = "redis operation=EVAL fault | remote BUSY: Redis is busy running a script.";
    assert_eq!(calls(&document, &client), [expected]);
}

#[tokio::test]
async fn no_error_repeats_the_password() {
    let Some((client, mut connection)) = connection().await else { return };
    let repeat = "return redis.error_reply('ERR you have said ' .. ARGV[1])";
    let mut eval = redis::cmd("EVAL");
    eval.arg(repeat).arg(0).arg("open sesame, please");
    let (result, document) = in_segment(eval.query_async::<Value>(&mut connection)).await;
    assert!(result.unwrap_err().to_string().contains("open sesame"));
    let expected = "redis operation=EVAL error | remote ERR: you have said , please";
    assert_eq!(calls(&document, &client), [expected]);
}

#[tokio::test]
async fn a_password_that_is_refused_is_an_error_of_the_caller() {
    let Some(url) = url() else { return };
    let url = url.replace("open%20sesame", "hocus%20pocus");
    let client = Client::open(&url, MissingContext::default()).unwrap();
    let (result, document) = in_segment(client.connect(&patient())).await;
    assert!(result.is_err());
    let call = only_call(&document);
    assert_eq!((call.error(), call.fault(), call.exceptions().all(|cause| cause.remote())), (true, false, true));
    assert!(document.to_json().contains("authentication failed"), "{document}");
    assert!(!document.to_json().contains("pocus"), "{document}");
}

/// A port of this machine where nothing listens, for as long as the socket lives.
fn refusing() -> (tokio::net::TcpSocket, String) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("redis://:secret@{}", socket.local_addr().unwrap());
    (socket, url)
}

#[tokio::test]
async fn a_connection_that_is_refused_is_a_fault_and_not_the_answer_of_a_server() {
    let (_socket, url) = refusing();
    let client = Client::open(&url, MissingContext::default()).unwrap();
    let (result, document) = in_segment(client.connect(&patient())).await;
    assert!(result.is_err_and(|error| error.is_connection_refusal()));
    let call = only_call(&document);
    assert_eq!((call.name(), call.error(), call.fault()), (client.name(), false, true));
    let cause = call.exceptions().next().unwrap();
    assert_eq!((cause.type_name(), cause.remote()), ("redis::errors::redis_error::RedisError", false));
    assert!(cause.message().contains("Connection refused"), "{document}");
    assert!(!document.to_json().contains("secret"), "{document}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_fault() {
    let Some(client) = client() else { return };
    let hasty = patient().set_response_timeout(Some(Duration::from_millis(50)));
    let mut connection = client.connect(&hasty).await.unwrap();
    let (result, document) = in_segment(connection.blpop::<_, Value>("nothing is here", 0.0)).await;
    assert!(result.is_err_and(|error| error.is_timeout()));
    let call = only_call(&document);
    assert_eq!((call.fault(), call.annotation("cancelled")), (true, None));
    assert!(call.exceptions().all(|cause| !cause.remote()), "{document}");
}
