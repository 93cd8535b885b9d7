//! Calls that are dropped, or panic, at any point: nothing stays open, and what comes next is in its place.

use std::net::SocketAddr;

use axum::{Router, body::Body, extract::Request, routing::get as route};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Extensions, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector, connect::dns::GaiResolver},
    rt::TokioExecutor,
};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_xray::{
    FutureExt, XRayClientLayer,
    client::{ConnectLayer, reqwest::XRayMiddleware},
    current,
};

use crate::support::{
    described, recorder, serve,
    stops::{Fuse, stopped_after},
};

/// A service that answers with the tracing header it has got, in pieces that arrive one by one.
async fn echo_slowly() -> SocketAddr {
    let echo = async |request: Request| {
        let header = request.headers()["x-amzn-trace-id"].as_bytes().to_vec();
        let pieces = stream::iter(header.chunks(20).map(Bytes::copy_from_slice).collect::<Vec<_>>());
        Body::from_stream(pieces.then(async |piece| {
            tokio::task::yield_now().await;
            Ok::<_, BoxError>(piece)
        }))
    };
    serve(Router::new().route("/", route(echo))).await
}

/// A traced client, from a URL to the text of the answer, with a fuse in what is traced.
type Traced = BoxCloneSyncService<String, String, BoxError>;
type MakeTraced = fn(Fuse) -> Traced;

/// hyper-util's client, which tells of its connecting, too.
fn hyper(fuse: Fuse) -> Traced {
    let resolver = ConnectLayer::dns().layer(GaiResolver::new());
    let connector = ConnectLayer::connect().layer(HttpConnector::new_with_resolver(resolver));
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let inner = service_fn(move |request| {
        fuse.step();
        let (fuse, mut client) = (fuse.clone(), client.clone());
        async move {
            let response = fuse.count(client.call(request)).await?;
            Ok::<_, hyper_util::client::legacy::Error>(response.map(|body| fuse.count_body(body)))
        }
    });
    let client = XRayClientLayer::new().layer(inner);
    BoxCloneSyncService::new(service_fn(move |url: String| {
        let client = client.clone();
        async move {
            let response = client.oneshot(http::Request::get(url).body(Empty::new())?).await?;
            Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?)
        }
    }))
}

fn with_fuse(response: reqwest::Response, fuse: Fuse) -> reqwest::Response {
    Response::from(response).map(|body| reqwest::Body::wrap(fuse.count_body(body))).into()
}

fn layered_reqwest(fuse: Fuse) -> Traced {
    let client = reqwest::Client::new();
    let inner = service_fn(move |request| {
        fuse.step();
        let (fuse, client) = (fuse.clone(), client.clone());
        async move {
            let response = fuse.count(client.execute(request)).await?;
            Ok::<_, reqwest::Error>(with_fuse(response, fuse))
        }
    });
    let client = XRayClientLayer::new().layer(inner);
    BoxCloneSyncService::new(service_fn(move |url: String| {
        let client = client.clone();
        async move { Ok(client.oneshot(reqwest::Request::new(http::Method::GET, url.parse()?)).await?.text().await?) }
    }))
}

#[async_trait::async_trait]
impl Middleware for Fuse {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let response = self.count(next.run(request, extensions)).await?;
        Ok(with_fuse(response, self.clone()))
    }
}

fn reqwest_middleware(fuse: Fuse) -> Traced {
    let client = ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).with(fuse).build();
    BoxCloneSyncService::new(service_fn(move |url: String| {
        let client = client.clone();
        async move { Ok(client.get(url).send().await?.text().await?) }
    }))
}

const CLIENTS: [(&str, MakeTraced); 3] =
    [("hyper", hyper), ("reqwest", layered_reqwest), ("reqwest-middleware", reqwest_middleware)];

/// What is recorded of a call that was stopped.
struct Stopped {
    /// It was not stopped after all.
    done: bool,
    causes: Vec<(String, String)>,
    responded: bool,
    cancelled: bool,
}

/// Makes a call that is stopped, and another one by the same client; asserts that each is in its place. Returns what is
/// recorded of the former.
async fn assert_in_place(client: MakeTraced, fuse: Fuse, polls: usize, url: &str) -> Stopped {
    let client = client(fuse.clone());
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let work = async {
        let done = stopped_after(polls, client.clone().oneshot(url.to_owned())).await;
        assert_eq!(current().id(), segment.id());
        fuse.disarm();
        let header = client.clone().oneshot(url.to_owned()).await.unwrap();
        assert_eq!(current().id(), segment.id());
        (done.is_some(), header)
    };
    let (done, header) = work.in_entity(&segment).await;
    assert!(current().is_none());
    let trace_id = segment.trace_id().unwrap();
    segment.close();

    // What is still open when the segment closes would not be in its document.
    let document = documents.take_one();
    let calls: Vec<_> = document.subsegments().collect();
    let next = calls.last().unwrap();
    assert_eq!(header, format!("Root={trace_id};Parent={};Sampled=1", next.id()), "{document}");
    assert_eq!((next.http_status(), next.fault(), next.exceptions().count()), (Some(200), false, 0), "{document}");
    assert_eq!(calls.len(), if polls == 0 { 1 } else { 2 }, "{document}");
    for connect in calls.iter().flat_map(|call| call.subsegments()) {
        assert_eq!(connect.name(), "connect", "{document}");
    }
    assert!(!document.to_json().contains("in_progress"), "{document}");
    let stopped = calls[0];
    let causes = described(stopped).into_iter().map(|(kind, message)| (kind.to_owned(), message.to_owned())).collect();
    let cancelled = stopped.annotation("cancelled").is_some();
    assert!(!cancelled || !stopped.fault(), "{document}");
    Stopped { done, causes, responded: stopped.http_status().is_some(), cancelled }
}

#[tokio::test]
async fn a_call_that_is_dropped_after_any_number_of_polls_is_closed_and_in_its_place() {
    let url = format!("http://{}/", echo_slowly().await);
    for (name, client) in CLIENTS {
        let mut seen = (false, false);
        for polls in 0.. {
            assert!(polls < 100, "{name}");
            let Stopped { done, causes, responded, cancelled } =
                assert_in_place(client, Fuse::none(), polls, &url).await;
            if done {
                assert!(polls > 2 && seen == (true, true), "{name}: {polls}, {seen:?}");
                break;
            }
            if polls > 0 {
                // A body of which nothing was asked for is not wanted.
                assert!(cancelled || responded, "{name} after {polls}");
                assert!(causes.is_empty(), "{name} after {polls}: {causes:?}");
                seen = (seen.0 || !responded, seen.1 || responded);
            }
        }
    }
}

#[tokio::test]
async fn a_call_that_panics_at_any_step_is_closed_with_the_panic_and_in_its_place() {
    let url = format!("http://{}/", echo_slowly().await);
    for (name, client) in CLIENTS {
        let mut seen = (false, false);
        for steps in 0.. {
            assert!(steps < 100, "{name}");
            let Stopped { done, causes, responded, cancelled } =
                assert_in_place(client, Fuse::new(steps), usize::MAX, &url).await;
            if done {
                assert!(steps > 2 && seen == (true, true), "{name}: {steps}, {seen:?}");
                break;
            }
            assert!(!cancelled, "{name} at {steps}");
            let [(kind, message)] = &causes[..] else { panic!("{name} at {steps}: {causes:?}") };
            assert!(kind == "panic" && message.contains("the fuse has blown"), "{name} at {steps}: {causes:?}");
            seen = (seen.0 || !responded, seen.1 || responded);
        }
    }
}
