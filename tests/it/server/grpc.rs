//! What gRPC says about errors: in trailers, or in the headers of a response that has nothing else.

use std::convert::Infallible;

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_xray::{
    FutureExt, XRayClientLayer, XRayLayer,
    document::{AnnotationValue, EntityDocument},
};

use crate::support::{described, emitting_recorder, recorder, serve};

/// A response with this status: in trailers after a message, or in its headers.
pub(crate) fn response(code: u32, trailers_only: bool) -> Response<Body> {
    let status = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), code.into())]);
    if trailers_only {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = status;
        return response;
    }
    let message = Frame::data(Bytes::from_static(b"message"));
    let frames = [message, Frame::trailers(status)].map(Ok::<_, Infallible>);
    Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))))
}

fn told(entity: EntityDocument<'_>) -> String {
    let flags = [(entity.error(), "error"), (entity.throttle(), "throttle"), (entity.fault(), "fault")];
    let flags: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
    let code = entity.annotation("grpc_status");
    format!("{:?} {} {code:?}", entity.http_status(), flags.join("+"))
}

#[tokio::test]
async fn its_status_sets_the_flags_on_both_sides() {
    for trailers_only in [false, true] {
        let (server, mut emitted) = emitting_recorder();
        let app = Router::new().route(
            "/shop.Orders/{method}",
            post(async move |axum::extract::Path(code): axum::extract::Path<u32>| response(code, trailers_only)),
        );
        let address = serve(app.layer(XRayLayer::new("orders", server))).await;
        let (caller, documents) = recorder();
        let http2: Client<HttpConnector, Empty<Bytes>> =
            Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(http2);
        for (code, flags) in [(0, ""), (5, "error"), (8, "error+throttle"), (13, "fault"), (14, "fault"), (99, "fault")]
        {
            let segment = caller.begin_segment("shop");
            let request = Request::post(format!("http://{address}/shop.Orders/{code}")).body(Empty::new()).unwrap();
            let response = client.clone().oneshot(request).in_entity(&segment).await.unwrap();
            response.into_body().collect().await.unwrap();
            segment.close();
            let annotation = if code == 0 { "None".to_owned() } else { format!("Some(Integer({code}))") };
            let expected = format!("Some(200) {flags} {annotation}");
            assert_eq!(told(emitted.next().await.root()), expected);
            assert_eq!(told(documents.take_one().subsegments().next().unwrap()), expected);
        }
    }
}

/// The route that either side tells of a request, and the name of the call, which does not say where it goes.
async fn routed(method: &str, content_type: &str, path: &str) -> (Option<String>, Option<String>, String) {
    let (recorder, documents) = recorder();
    let ok = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let request = || Request::builder().method(method).uri(path).header("content-type", content_type).body(()).unwrap();
    XRayLayer::new("orders", recorder.clone()).layer(ok).oneshot(request()).await.unwrap();
    let server = documents.take_one();
    let segment = recorder.begin_segment("shop");
    XRayClientLayer::new().layer(ok).oneshot(request()).in_entity(&segment).await.unwrap();
    segment.close();
    let client = documents.take_one();
    let call = client.subsegments().next().unwrap();
    let route = |entity: EntityDocument<'_>| match entity.annotation("route")? {
        AnnotationValue::Text(route) => Some(route.into_owned()),
        other => panic!("{other:?}"),
    };
    (route(server.root()), route(call), call.name().to_owned())
}

#[tokio::test]
async fn its_method_is_the_route_and_its_service_the_name_of_a_call_to_nowhere() {
    let longest = format!("/shop.Orders/{}", "x".repeat(237));
    for (content_type, path, name) in [
        ("application/grpc", "/shop.Orders/Cancel", "shop.Orders"),
        ("application/grpc+proto", "/shop.Orders/Cancel", "shop.Orders"),
        ("Application/GRPC; x=y", "/shop.v1.Orders/CancelAll?x=y", "shop.v1.Orders"),
        ("application/grpc", "/Orders/cancel_1", "Orders"),
        ("application/grpc", &longest, "shop.Orders"),
    ] {
        let route = path.split('?').next().map(str::to_owned);
        assert_eq!(routed("POST", content_type, path).await, (route.clone(), route, name.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_method_of_grpc_is_no_route() {
    let too_long = format!("/shop.Orders/{}", "x".repeat(238));
    for (method, content_type, path) in [
        ("GET", "application/grpc", "/shop.Orders/Cancel"),
        ("POST", "application/json", "/shop.Orders/Cancel"),
        ("POST", "application/grp", "/shop.Orders/Cancel"),
        ("POST", "", "/shop.Orders/Cancel"),
        ("POST", "application/grpc", "/"),
        ("POST", "application/grpc", "/shop.Orders"),
        ("POST", "application/grpc", "/shop.Orders/"),
        ("POST", "application/grpc", "//Cancel"),
        ("POST", "application/grpc", "/api/shop.Orders/Cancel"),
        ("POST", "application/grpc", "/shop.Orders/Cancel%20all"),
        ("POST", "application/grpc", &too_long),
    ] {
        let told = routed(method, content_type, path).await;
        assert_eq!(told, (None, None, "unknown".to_owned()), "{method} {content_type} {path}");
    }
}

#[tokio::test]
async fn no_route_is_told_where_that_is_off() {
    let (recorder, documents) = recorder();
    let ok = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let request = Request::post("/shop.Orders/Cancel").header("content-type", "application/grpc").body(()).unwrap();
    XRayLayer::new("orders", recorder).route_annotation(false).layer(ok).oneshot(request).await.unwrap();
    assert_eq!(documents.take_one().annotation("route"), None);
}

#[tokio::test]
async fn its_message_is_the_cause_whatever_its_encoding() {
    for (code, message, cause) in [
        ("5", "no%20order%2042", Some(("NOT_FOUND", "no order 42"))),
        ("5", "50 % off %e2%82%ac%C3", Some(("NOT_FOUND", "50 % off €\u{fffd}"))),
        ("5", "%", Some(("NOT_FOUND", "%"))),
        ("5", "%2", Some(("NOT_FOUND", "%2"))),
        ("99", "what", Some(("UNKNOWN", "what"))),
        ("13", "", None),
        ("0", "fine", None),
        ("five", "no order", None),
        ("-1", "no order", None),
    ] {
        let (recorder, documents) = recorder();
        let fails = service_fn(move |_: Request<()>| {
            let response = Response::builder().header("grpc-status", code).header("grpc-message", message);
            std::future::ready(Ok::<_, Infallible>(response.body(String::new()).unwrap()))
        });
        XRayLayer::new("orders", recorder.clone()).layer(fails).oneshot(Request::new(())).await.unwrap();
        assert_eq!(described(documents.take_one().root()).first().copied(), cause, "{code} {message}");
        let segment = recorder.begin_segment("shop");
        XRayClientLayer::new().layer(fails).oneshot(Request::new(())).in_entity(&segment).await.unwrap();
        segment.close();
        let document = documents.take_one();
        assert_eq!(described(document.subsegments().next().unwrap()).first().copied(), cause, "{code} {message}");
        let remote = document.to_json().contains(r#""remote":true"#);
        assert_eq!(remote, cause.is_some(), "{code} {message}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_to_be_read_tells_no_part_of_a_password() {
    for (character, count) in [("%f0%9f%98%80", 980), ("%78", 980), ("x", 7_980)] {
        let message = format!("{} https://shop:{}@db/", character.repeat(count), "s".repeat(40_000));
        let (recorder, documents) = recorder();
        let fails = service_fn(move |_: Request<()>| {
            let response = Response::builder().header("grpc-status", 5).header("grpc-message", &message);
            std::future::ready(Ok::<_, Infallible>(response.body(String::new()).unwrap()))
        });
        XRayLayer::new("orders", recorder).layer(fails).oneshot(Request::new(())).await.unwrap();
        let json = documents.take_one().to_json();
        assert!(json.contains("NOT_FOUND") && !json.contains("shop:"), "{character}");
    }
}
