//! What a segment tells about its request.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::Path, routing::get as route};
use http::{Method, Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    Entity, XRayLayer,
    document::SegmentDocument,
    server::{Naming, XRay},
};

use crate::support::{Documents, emitting_recorder, exchange, recorder, serve};

/// Sends a request through a traced service that answers with an empty 200.
async fn segment_of(request: http::request::Builder) -> SegmentDocument {
    let (recorder, documents) = recorder();
    send(XRayLayer::new("orders", recorder), request).await;
    documents.take_one()
}

async fn send(layer: XRayLayer, request: http::request::Builder) -> Response<()> {
    let empty = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    layer.layer(empty).oneshot(request.body(()).unwrap()).await.unwrap().map(drop)
}

#[tokio::test]
async fn method_url_client_and_user_agent_are_recorded_over_a_socket() {
    let (recorder, mut emitted) = emitting_recorder();
    let router = Router::new().route("/orders/{id}", route(async || "").post(async || ""));
    let address = serve(router.layer(XRayLayer::new("orders", recorder))).await;
    let request = "POST /orders/42?card=4711 HTTP/1.1\r\nhost: shop.example.com:8080\r\nuser-agent: curl/8.9.1\r\n\
                   content-length: 0\r\nconnection: close\r\n\r\n";
    exchange(address, request).await;
    let json: serde_json::Value = serde_json::from_str(&emitted.next().await.to_json()).unwrap();
    let expected = serde_json::json!({
        "request": {
            "method": "POST",
            "url": "http://shop.example.com:8080/orders/42",
            "user_agent": "curl/8.9.1",
            "client_ip": "127.0.0.1",
        },
        "response": { "status": 200, "content_length": 0 },
    });
    assert_eq!(json["http"], expected);
    assert_eq!(json["annotations"], serde_json::json!({ "route": "/orders/{id}" }));
    assert_eq!(json["aws"]["xray"]["sdk"], "tower-xray for Rust");
    assert_eq!(json["service"]["runtime"], "rustc");
}

#[tokio::test]
async fn the_first_forwarded_address_is_the_client() {
    for (header, client) in [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (" 203.0.113.7 ,10.0.0.1", "203.0.113.7"),
        ("203.0.113.7:51234, 10.0.0.1", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("unknown", "unknown"),
    ] {
        let segment = segment_of(Request::get("http://a/").header("x-forwarded-for", header)).await;
        assert_eq!(segment.root().client_ip(), client, "{header}");
        assert!(segment.to_json().contains(r#""x_forwarded_for":true"#), "{segment}");
    }
    for absent in ["", ",10.0.0.1"] {
        let segment = segment_of(Request::get("http://a/").header("x-forwarded-for", absent)).await;
        assert_eq!(segment.root().client_ip(), "");
        assert!(!segment.to_json().contains("x_forwarded_for"), "{segment}");
    }
}

#[tokio::test]
async fn the_scheme_is_the_load_balancers_or_the_requests_or_that_of_tls() {
    let url = async |layer: fn(XRayLayer) -> XRayLayer, uri: &str, proto: Option<&str>| {
        let (recorder, documents) = recorder();
        let mut request = Request::get(uri).header("host", "a");
        if let Some(proto) = proto {
            request = request.header("x-forwarded-proto", proto);
        }
        send(layer(XRayLayer::new("orders", recorder)), request).await;
        documents.take_one().root().http_url().to_owned()
    };
    assert_eq!(url(|layer| layer, "/", None).await, "http://a/");
    assert_eq!(url(|layer| layer, "/", Some("https")).await, "https://a/");
    assert_eq!(url(|layer| layer, "/", Some("HTTPS, http")).await, "https://a/");
    assert_eq!(url(|layer| layer, "/", Some("gopher")).await, "http://a/");
    assert_eq!(url(|layer| layer, "https://a/", None).await, "https://a/");
    assert_eq!(url(|layer| layer.tls(true), "/", None).await, "https://a/");
    assert_eq!(url(|layer| layer.tls(true), "/", Some("http")).await, "http://a/");
}

#[tokio::test]
async fn query_credentials_and_other_headers_are_not_recorded() {
    let request = Request::builder()
        .method(Method::GET)
        .uri("https://alice:s3cret@shop.example.com/orders?token=s3cret#s3cret")
        .header("authorization", "Bearer s3cret")
        .header("cookie", "session=s3cret");
    let segment = segment_of(request).await;
    assert_eq!(segment.root().http_url(), "https://shop.example.com/orders");
    assert!(!segment.to_json().contains("s3cret"), "{segment}");
}

#[tokio::test]
async fn long_and_strange_values_stay_within_the_limits() {
    let path = "/x".repeat(30_000);
    let agent = http::HeaderValue::from_bytes(b"caf\xe9 \xff\tagent").unwrap();
    let segment = segment_of(Request::get(path).header("host", "a").header("user-agent", agent)).await;
    assert_eq!(segment.root().http_url().chars().count(), 250);
    assert!(segment.to_json().contains("caf\u{fffd} \u{fffd}\\tagent"), "{segment}");
}

#[tokio::test]
async fn names_are_fixed_or_follow_the_host_or_a_closure() {
    async fn name(naming: impl Into<Naming>, host: &str) -> String {
        let (recorder, documents) = recorder();
        send(XRayLayer::new(naming, recorder), Request::get("/").header("host", host)).await;
        documents.take_one().name().to_owned()
    }

    assert_eq!(name("orders", "shop.example.com").await, "orders");
    assert_eq!(name("", "shop.example.com").await, "unknown");
    let by_host = || Naming::by_host("*.example.com", "orders").unwrap();
    assert_eq!(name(by_host(), "shop.example.com").await, "shop.example.com");
    assert_eq!(name(by_host(), "Shop.example.com:8080").await, "shop.example.com");
    let with_port = Naming::by_host("*.example.com:*", "orders").unwrap();
    assert_eq!(name(with_port, "shop.example.com:8080").await, "shop.example.com:8080");
    assert_eq!(name(by_host(), "evil.example.org").await, "orders");
    assert_eq!(name(Naming::by(|parts| format!("{}-v2", parts.method)), "a").await, "GET-v2");
    assert_eq!(name(Naming::by(|_| "a?b*c".to_owned()), "a").await, "a_b_c");
}

#[test]
fn a_name_that_becomes_empty_is_an_error_that_says_what_to_write() {
    let (recorder, _) = recorder();
    for name in ["", "???", "\u{1f600}"] {
        let error = XRayLayer::try_new(name, recorder.clone()).unwrap_err().to_string();
        assert!(error.contains("write at least one letter or number"), "{error}");
        assert!(Naming::by_host("*", name).is_err());
    }
    assert!(XRayLayer::try_new("orders", recorder).is_ok());
}

#[tokio::test]
async fn the_environments_name_replaces_all_but_a_matching_host() {
    let named = |naming: Naming| async move {
        let (recorder, documents) = crate::support::recorder_with(|builder| {
            builder.environment(|name| (name == "AWS_XRAY_TRACING_NAME").then(|| "blue".to_owned()))
        });
        send(XRayLayer::new(naming, recorder), Request::get("/").header("host", "shop.example.com")).await;
        documents.take_one().name().to_owned()
    };
    assert_eq!(named("orders".into()).await, "blue");
    assert_eq!(named(Naming::by(|_| "orders".to_owned())).await, "blue");
    assert_eq!(named(Naming::by_host("*.org", "orders").unwrap()).await, "blue");
    assert_eq!(named(Naming::by_host("*.com", "orders").unwrap()).await, "shop.example.com");
}

#[tokio::test]
async fn the_route_is_an_annotation_that_can_be_switched_off() {
    async fn route_of(adjust: fn(XRayLayer) -> XRayLayer) -> (String, bool) {
        let (recorder, documents) = recorder();
        let inner = Router::new().route("/{id}", route(async |Path(_): Path<u32>| ""));
        let app = Router::new().nest("/orders", inner).layer(adjust(XRayLayer::new("orders", recorder)));
        app.oneshot(Request::get("/orders/42").body(Body::empty()).unwrap()).await.unwrap();
        let segment = documents.take_one();
        (segment.root().http_url().to_owned(), segment.annotation("route") == Some("/orders/{id}".into()))
    }

    assert_eq!(route_of(|layer| layer).await, ("http://unknown/orders/42".to_owned(), true));
    assert_eq!(route_of(|layer| layer.route_annotation(false)).await, ("http://unknown/orders/42".to_owned(), false));
}

#[tokio::test]
async fn a_nested_router_records_the_whole_path() {
    let (recorder, documents) = recorder();
    let inner = Router::new().route("/{id}", route(async || "")).layer(XRayLayer::new("orders", recorder));
    let app = Router::new().nest("/orders", inner);
    app.oneshot(Request::get("/orders/42").header("host", "a").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(documents.take_one().root().http_url(), "http://a/orders/42");
}

#[tokio::test]
async fn a_skipped_request_is_left_alone() {
    let (recorder, documents) = recorder();
    let layer = XRayLayer::new("orders", recorder.clone()).skip(|parts| parts.uri.path() == "/healthz");
    let response = send(layer.clone(), Request::get("/healthz")).await;
    assert_eq!(response.headers().get("x-amzn-trace-id"), None);
    assert_eq!((documents.len(), recorder.stats().opened), (0, 0));
    send(layer, Request::get("/orders")).await;
    assert_eq!((documents.len(), recorder.stats().opened), (1, 1));
}

#[tokio::test]
async fn the_extractor_gives_the_segment_and_nothing_where_nothing_is_traced() {
    async fn handler(segment: Entity) -> String {
        segment.add_annotation("tier", "gold");
        segment.is_recorded().to_string()
    }

    async fn ask(app: Router) -> String {
        let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    let (recorder, documents): (_, Documents) = recorder();
    let app = Router::new().route("/", route(handler));
    assert_eq!(ask(app.clone()).await, "false");
    assert_eq!(ask(app.layer(XRayLayer::new("orders", recorder))).await, "true");
    assert_eq!(documents.take_one().annotation("tier"), Some("gold".into()));
}

#[test]
fn the_inner_service_can_be_reached() {
    let (recorder, _) = recorder();
    let mut service: XRay<u32> = XRayLayer::new("orders", recorder).layer(1);
    *service.get_mut() += 1;
    assert_eq!((*service.get_ref(), service.into_inner()), (2, 2));
}
