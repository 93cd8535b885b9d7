//! A service that does what a request asks for, to compare its traces with those of other X-Ray SDKs.
//!
//! ```sh
//! cargo run -p xray-local &
//! cargo run --example interop
//! curl 'http://127.0.0.1:6004/work?status=201&annotate=1&subs=3&next=http://127.0.0.1:6004/stream?chunks=2'
//! ```
//!
//! | path | what it does |
//! |---|---|
//! | `/work` | answers `status`, after `annotate=1`, `subs=N` subsegments, `meta=BYTES` of metadata, a call of `next=URL` |
//! | `/stream` | sends `chunks=N`, each after `delay_ms=M` |
//! | `/sleep` | answers after `ms=N` |
//! | `/boom` | panics |
//!
//! `PORT` and `NAME` say where and who it is (6004 and `rust-axum`), `SAMPLING` is `all`, `none`, or `local` for the
//! default rules, and `AWS_XRAY_DAEMON_ADDRESS` is where the documents go.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    BoxError, Json, Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    routing::{any, get},
};
use futures_util::stream::{self, StreamExt};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal, time::sleep};
use tower_http::catch_panic::CatchPanicLayer;
use tower_xray::{
    Entity, FutureExt, Recorder, XRayLayer,
    client::reqwest::XRayMiddleware,
    sampling::{SampleAll, SampleNone},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let name = variable("NAME").unwrap_or_else(|| "rust-axum".to_owned());
    let port = variable("PORT").map_or(Ok(6004), |port| port.parse())?;
    let builder = Recorder::builder();
    let recorder = match variable("SAMPLING").as_deref() {
        Some("all") => builder.sampling(SampleAll),
        Some("none") => builder.sampling(SampleNone),
        Some("local") | None => builder,
        Some(other) => return Err(format!("SAMPLING={other}: write all, none or local").into()),
    }
    .build()?;

    let client = ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).build();
    let app = Router::new()
        .route("/work", any(work))
        .route("/stream", get(stream))
        .route("/sleep", get(async |Query(Sleep { ms }): Query<Sleep>| sleep(Duration::from_millis(ms)).await))
        .route("/boom", any(boom))
        .with_state(Service { name: name.clone(), client })
        .layer(XRayLayer::new(name.as_str(), recorder.clone()))
        .layer(CatchPanicLayer::new());

    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    println!("{name} listens on http://{}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async { signal::ctrl_c().await.unwrap_or_default() })
        .await?;
    recorder.shutdown(Duration::from_secs(2)).await;
    println!("{:?}", recorder.stats());
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the settings of this example, not of the crate")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[derive(Clone)]
struct Service {
    name: String,
    client: ClientWithMiddleware,
}

#[derive(Deserialize)]
#[serde(default)]
struct Work {
    status: u16,
    next: Option<String>,
    annotate: u8,
    subs: u32,
    meta: usize,
}

impl Default for Work {
    fn default() -> Self {
        Self { status: 200, next: None, annotate: 0, subs: 0, meta: 0 }
    }
}

#[derive(Serialize)]
struct Answer {
    service: String,
    r#in: BTreeMap<String, Vec<String>>,
    #[serde(flatten)]
    next: Option<Next>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Next {
    Response { next_status: u16, next_headers: BTreeMap<String, Vec<String>>, next: Value },
    Error { next_error: String },
}

async fn work(
    State(service): State<Service>,
    Query(work): Query<Work>,
    segment: Entity,
    headers: HeaderMap,
) -> (StatusCode, Json<Answer>) {
    if work.annotate == 1 {
        segment.add_annotation("k_str", "v");
        segment.add_annotation("k_num", 12.5);
        segment.add_annotation("k_bool", true);
        segment.add_metadata("m", json!({ "a": [1, 2] }));
        segment.set_user("alice");
        segment.begin_subsegment("custom").add_metadata_in("ns", "x", 1);
    }
    for number in 0..work.subs {
        tokio::task::yield_now().in_subsegment(format!("sub{number}")).await;
    }
    if work.meta > 0 {
        segment.add_metadata("big", "x".repeat(work.meta));
    }
    let next = match work.next {
        Some(url) => Some(call(&service.client, &url).await),
        None => None,
    };
    let status = StatusCode::from_u16(work.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(Answer { service: service.name, r#in: lists(&headers), next }))
}

async fn call(client: &ClientWithMiddleware, url: &str) -> Next {
    let call = async {
        let response = client.get(url).send().await?;
        let (next_status, next_headers) = (response.status().as_u16(), lists(response.headers()));
        let body = response.text().await?;
        let next = serde_json::from_str(&body).unwrap_or(Value::String(body));
        Ok(Next::Response { next_status, next_headers, next })
    };
    call.await.unwrap_or_else(|error: reqwest_middleware::Error| Next::Error { next_error: error.to_string() })
}

fn lists(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let values =
        |name| headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    headers.keys().map(|name| (name.to_string(), values(name).collect())).collect()
}

#[derive(Deserialize)]
#[serde(default)]
struct Stream {
    chunks: usize,
    delay_ms: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self { chunks: 1, delay_ms: 0 }
    }
}

async fn stream(Query(Stream { chunks, delay_ms }): Query<Stream>) -> Body {
    let numbers = stream::iter(0..chunks);
    Body::from_stream(numbers.then(move |number| async move {
        sleep(Duration::from_millis(delay_ms)).await;
        Ok::<_, Infallible>(format!("chunk {number}\n"))
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sleep {
    ms: u64,
}

async fn boom() {
    panic!("boom");
}
