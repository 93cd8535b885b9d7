//! Names by host: which hosts become the name of a segment.

use std::convert::Infallible;

use http::{Request, Response, request::Builder};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{XRayLayer, document::SegmentDocument, server::Naming};

use crate::support::recorder;

/// The segment of one request, by this pattern.
async fn segment(pattern: &str, request: Builder) -> SegmentDocument {
    let (recorder, documents) = recorder();
    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let layer = XRayLayer::new(Naming::by_host(pattern, "orders").unwrap(), recorder);
    layer.layer(handler).oneshot(request.body(()).unwrap()).await.unwrap();
    documents.take_one()
}

#[tokio::test]
async fn a_host_that_matches_is_the_name_and_otherwise_the_fallback_is() {
    for (pattern, host, expected) in [
        ("*", "www.myhost.com", "www.myhost.com"),
        ("ww.*-moop.com", "www.myhost.com", "orders"),
        ("www.*.com", "www.myhost.com", "www.myhost.com"),
        // One service has one name, however its clients write it.
        ("WWW.*.com", "www.MyHost.com", "www.myhost.com"),
        ("a/b/c", "www.myhost.com", "orders"),
        // The SDK for Go takes the port for a part of the host.
        ("www.*.com", "www.myhost.com:8080", "www.myhost.com"),
        ("www.*.com:*", "www.myhost.com:8080", "www.myhost.com:8080"),
        ("www.*.com:80", "www.myhost.com:8080", "orders"),
        // Brackets are no characters of a name.
        ("[::1]", "[::1]:8080", "_::1_"),
    ] {
        let segment = segment(pattern, Request::get("/").header("host", host)).await;
        assert_eq!(segment.name(), expected, "{pattern} and {host}");
    }
    assert_eq!(segment("*", Request::get("/")).await.name(), "orders");
    assert_eq!(segment("*", Request::get("/").header("host", "")).await.name(), "orders");
}

#[tokio::test]
async fn the_host_of_an_absolute_uri_goes_first_and_never_shows_credentials() {
    let request = Request::get("http://user:secret@www.myhost.com/x").header("host", "other");
    let segment = segment("*", request).await;
    assert_eq!(segment.name(), "www.myhost.com");
    assert!(!segment.to_json().contains("secret"), "{segment}");
}
