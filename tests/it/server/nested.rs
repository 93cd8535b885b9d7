//! More than one layer, or skip, or a trace around the request already.

use axum::{Router, body::Body, routing::get as route};
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_xray::{
    FutureExt, XRayLayer,
    sampling::{SampleAll, SampleNone},
};

use crate::support::{recorder, recorder_with};

async fn get(app: Router, path: &str) -> http::HeaderMap {
    let request = Request::get(path).header("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793");
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    body.collect().await.unwrap();
    parts.headers
}

#[tokio::test]
async fn a_layer_inside_of_another_one_continues_its_trace() {
    let (recorder, documents) = recorder();
    let inner = Router::new().route("/{id}", route(async || "an order"));
    let app = Router::new()
        .nest("/orders", inner.layer(XRayLayer::new("orders", recorder.clone())))
        .layer(XRayLayer::new("shop", recorder));
    let headers = get(app, "/orders/42").await;
    let [inner, outer] = &documents.take()[..] else { panic!("two segments") };
    assert_eq!((inner.name(), outer.name()), ("orders", "shop"));
    assert_eq!(inner.parent_id(), Some(outer.id()));
    assert_eq!(inner.trace_id(), outer.trace_id());
    assert_eq!(headers["x-amzn-trace-id"], "Root=1-5759e988-bd862e3fe1be46a994272793");
}

#[tokio::test]
async fn the_outer_decision_holds_inside() {
    let (unsampled, _) = recorder_with(|builder| builder.sampling(SampleNone));
    let (sampled, documents) = recorder_with(|builder| builder.sampling(SampleAll));
    let app = Router::new()
        .nest("/orders", Router::new().route("/", route(async || "")).layer(XRayLayer::new("orders", sampled.clone())))
        .layer(XRayLayer::new("shop", unsampled));
    get(app, "/orders").await;
    assert_eq!((documents.len(), sampled.stats().sampled), (0, 0));
}

#[tokio::test]
async fn a_service_that_is_called_within_a_trace_is_part_of_it() {
    let (recorder, documents) = recorder();
    let app = Router::new().route("/", route(async || "")).layer(XRayLayer::new("orders", recorder.clone()));
    let segment = recorder.begin_segment("report");
    get(app, "/").in_entity(&segment).await;
    segment.close();
    let [inner, outer] = &documents.take()[..] else { panic!("two segments") };
    assert_eq!((inner.parent_id(), inner.trace_id()), (Some(outer.id()), outer.trace_id()));
}

#[tokio::test]
async fn whatever_one_of_several_closures_names_is_skipped() {
    let (recorder, documents) = recorder();
    let layer = XRayLayer::new("orders", recorder)
        .skip(|parts| parts.uri.path() == "/healthz")
        .skip(|parts| parts.uri.path() == "/metrics");
    let app = Router::new().fallback(async || "").layer(layer);
    for path in ["/healthz", "/metrics", "/orders"] {
        get(app.clone(), path).await;
    }
    assert_eq!(documents.take_one().root().http_url(), "http://unknown/orders");
}
