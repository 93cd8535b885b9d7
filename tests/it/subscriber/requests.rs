//! Spans of handlers, and calls from within them, over real sockets.

use std::net::SocketAddr;

use axum::{Router, extract::State, http::StatusCode, routing::get as route};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_xray::{
    TraceHeader, XRayClientLayer, XRayLayer, current,
    document::EntityDocument,
    sampling::SampleNone,
    subscriber::{SubsegmentLayer, TraceIds},
};
use tracing::{Instrument, info_span, instrument};
use tracing_subscriber::{Registry, filter::LevelFilter, fmt, prelude::*};

use super::runtime;
use crate::support::{emitting_recorder, emitting_recorder_with, exchange, get, serve};

/// Calls another service, from a span and from a task of its own.
#[instrument(err)]
async fn price(address: SocketAddr) -> Result<String, hyper_util::client::legacy::Error> {
    let client = ServiceBuilder::new()
        .layer(XRayClientLayer::new())
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
    let request = Request::get(format!("http://{address}/price")).body(Empty::new()).unwrap();
    let response = client.oneshot(request).await?;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[instrument(skip_all)]
async fn orders(State(address): State<SocketAddr>) -> Result<String, StatusCode> {
    let task = tokio::spawn(async move { price(address).await }.instrument(info_span!("task")));
    tokio::task::yield_now().await;
    let here = price(address).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let there = task.await.unwrap().map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(format!("{here} {there}"))
}

fn subscriber() -> impl tracing::Subscriber + Send + Sync {
    Registry::default()
        .with(fmt::layer().with_writer(TraceIds::new(std::io::sink)).with_filter(LevelFilter::TRACE))
        .with(SubsegmentLayer::new().filtered())
}

#[test]
fn calls_from_within_spans_are_their_children_and_the_parents_of_those_who_are_called() {
    let runtime = runtime(subscriber());
    let (recorder, mut documents) = emitting_recorder();
    let work = async move {
        let prices =
            Router::new().route("/price", route(async || "7")).layer(XRayLayer::new("prices", recorder.clone()));
        let prices = serve(prices).await;
        let shop = Router::new().route("/", route(orders)).with_state(prices).layer(XRayLayer::new("shop", recorder));
        let shop = serve(shop).await;
        let requests: Vec<_> = (0..8).map(|_| tokio::spawn(async move { exchange(shop, &get("/")).await })).collect();
        for request in requests {
            assert!(request.await.unwrap().ends_with("7 7"));
        }
        let (mut calls, mut called) = (Vec::new(), Vec::new());
        for _ in 0..8 * 3 {
            let document = documents.next().await;
            if document.name() == "prices" {
                called.push((document.trace_id(), document.parent_id().unwrap()));
                continue;
            }
            let [orders] = &document.subsegments().collect::<Vec<_>>()[..] else { panic!("{document}") };
            let mut prices = Vec::new();
            for below in orders.subsegments() {
                match below.name() {
                    "task" => prices.extend(below.subsegments()),
                    _ => prices.push(below),
                }
            }
            assert_eq!((orders.name(), prices.len()), ("orders", 2), "{document}");
            for price in prices {
                let [call] = &price.subsegments().collect::<Vec<_>>()[..] else { panic!("{document}") };
                assert_eq!((price.name(), call.http_status()), ("price", Some(200)));
                calls.push((document.trace_id(), call.id()));
            }
        }
        documents.assert_empty();
        calls.sort_by_key(|(_, id)| id.to_string());
        called.sort_by_key(|(_, id)| id.to_string());
        assert_eq!(calls, called);
    };
    runtime.block_on(runtime.spawn(work)).unwrap();
}

#[test]
fn spans_have_no_say_in_what_the_called_are_told() {
    let runtime = runtime(subscriber());
    let (recorder, mut documents) = emitting_recorder_with(|builder| builder.sampling(SampleNone));
    let work = async move {
        let echo = async |headers: axum::http::HeaderMap| {
            headers.get("x-amzn-trace-id").map_or("nothing", |header| header.to_str().unwrap()).to_owned()
        };
        let address = serve(Router::new().route("/price", route(echo))).await;
        let handler = async move || {
            let (trace_id, id) = (current().trace_id().unwrap(), current().id().unwrap());
            let echoed: TraceHeader = price(address).await.unwrap().parse().unwrap();
            assert_eq!((echoed.root(), echoed.parent(), echoed.decision().made()), (trace_id, Some(id), Some(false)));
            "done"
        };
        let shop = serve(Router::new().route("/", route(handler)).layer(XRayLayer::new("shop", recorder))).await;
        assert!(exchange(shop, &get("/")).await.ends_with("done"));
        documents.assert_empty();
    };
    runtime.block_on(runtime.spawn(work)).unwrap();
}

#[test]
fn a_span_of_a_request_that_is_cut_off_closes_with_it() {
    let runtime = runtime(subscriber());
    let (recorder, mut documents) = emitting_recorder();
    let work = async move {
        let (entered, mut is_entered) = tokio::sync::mpsc::channel(1);
        let handler = async move || {
            async {
                entered.send(()).await.unwrap();
                std::future::pending::<()>().await;
            }
            .instrument(info_span!("forever"))
            .await;
        };
        let address = serve(Router::new().route("/", route(handler)).layer(XRayLayer::new("shop", recorder))).await;
        let client = tokio::spawn(async move { exchange(address, &get("/")).await });
        is_entered.recv().await.unwrap();
        client.abort();
        let document = documents.next().await;
        let names: Vec<&str> = document.subsegments().map(EntityDocument::name).collect();
        // Whether the handler or the segment is dropped first is the layer's to say; nothing stays open.
        if names.is_empty() {
            assert_eq!(documents.next().await.name(), "forever");
        } else {
            assert_eq!(names, ["forever"]);
        }
        assert!(document.error());
    };
    runtime.block_on(runtime.spawn(work)).unwrap();
}
