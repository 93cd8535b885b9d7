//! What the subsegments of calls are named after, whichever client makes them.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    FutureExt, Segment, XRayClientLayer,
    client::{SubsegmentName, reqwest::XRayMiddleware},
    document::EntityDocument,
};

use super::echo;
use crate::support::recorder;

/// Answers instead of a server.
struct Nowhere;

#[async_trait::async_trait]
impl Middleware for Nowhere {
    async fn handle(
        &self,
        _: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Ok(Response::new("").into())
    }
}

fn get(url: &str) -> reqwest::Request {
    reqwest::Request::new(http::Method::GET, url.parse().unwrap())
}

/// Calls a URL by each client, and nobody answers.
async fn call_nowhere(url: &str, segment: &Segment) {
    let request = Request::get(url).body(()).unwrap();
    let http = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    XRayClientLayer::new().layer(http).oneshot(request).in_entity(segment).await.unwrap();
    let reqwest = service_fn(async |_| Ok::<_, Infallible>(reqwest::Response::from(Response::new(""))));
    XRayClientLayer::new().layer(reqwest).oneshot(get(url)).in_entity(segment).await.unwrap();
    let middleware = ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).with(Nowhere).build();
    middleware.execute(get(url)).in_entity(segment).await.unwrap();
}

#[tokio::test]
async fn every_client_names_the_host_with_a_port_that_is_not_the_default() {
    for (url, name, told) in [
        ("http://a.test/x", "a.test", "http://a.test/x"),
        ("http://a.test:80/", "a.test", "http://a.test/"),
        ("https://a.test:443/", "a.test", "https://a.test/"),
        ("https://a.test:80/", "a.test:80", "https://a.test:80/"),
        ("http://a.test:443/", "a.test:443", "http://a.test:443/"),
        ("http://reader:s3cret@a.test:8080/?token=s3cret", "a.test:8080", "http://a.test:8080/"),
        ("http://10.0.0.7:8080/", "10.0.0.7:8080", "http://10.0.0.7:8080/"),
        ("http://[::1]/", "_::1_", "http://[::1]/"),
        ("http://[::1]:80/", "_::1_", "http://[::1]/"),
        ("http://[::1]:8080/", "_::1_:8080", "http://[::1]:8080/"),
        ("https://reader@[2001:db8::80]:8443/", "_2001:db8::80_:8443", "https://[2001:db8::80]:8443/"),
    ] {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("orders");
        call_nowhere(url, &segment).await;
        segment.close();
        let document = documents.take_one();
        let calls: Vec<_> = document.subsegments().map(|call| (call.name(), call.http_url())).collect();
        assert_eq!(calls, [(name, told); 3], "{url}");
    }
}

#[tokio::test]
async fn two_services_of_one_host_are_two_names() {
    let addresses = [echo().await, echo().await];
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let hyper = XRayClientLayer::new().layer(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
    let layered = XRayClientLayer::new().layer(reqwest::Client::new());
    let middleware = ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).build();
    for address in addresses {
        let url = format!("http://{address}/");
        let request = Request::get(&url).body(Empty::new()).unwrap();
        hyper.clone().oneshot(request).in_entity(&segment).await.unwrap();
        layered.clone().oneshot(get(&url)).in_entity(&segment).await.unwrap();
        middleware.execute(get(&url)).in_entity(&segment).await.unwrap();
    }
    segment.close();
    let document = documents.take_one();
    let names: Vec<_> = document.subsegments().map(|call| call.name().to_owned()).collect();
    assert_eq!(names, addresses.map(|address| [(); 3].map(|()| address.to_string())).concat());
}

#[tokio::test]
async fn one_call_can_have_a_name_of_its_own_before_that_of_its_client() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let layer = XRayClientLayer::new().name("pricing");

    let http = layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()))));
    let request = |name| Request::get("http://a.test/").extension(name).body(()).unwrap();
    let own = SubsegmentName::new(format!("depot {}", 7));
    http.clone().oneshot(request(own.clone())).in_entity(&segment).await.unwrap();
    http.oneshot(Request::get("http://a.test/").body(()).unwrap()).in_entity(&segment).await.unwrap();

    let reqwest = layer.layer(service_fn(async |_| Ok::<_, Infallible>(reqwest::Response::from(Response::new("")))));
    reqwest.clone().named("depot 8").oneshot(get("http://a.test/")).in_entity(&segment).await.unwrap();
    reqwest.oneshot(get("http://a.test/")).in_entity(&segment).await.unwrap();

    let client = ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::with(layer)).with(Nowhere).build();
    let named = client.get("http://a.test/").with_extension(SubsegmentName::from_static("depot 9 (new)"));
    named.send().in_entity(&segment).await.unwrap();
    client.get("http://a.test/").send().in_entity(&segment).await.unwrap();

    segment.close();
    let document = documents.take_one();
    let names: Vec<_> = document.subsegments().map(EntityDocument::name).collect();
    assert_eq!(names, ["depot 7", "pricing", "depot 8", "pricing", "depot 9 _new_", "pricing"]);
    assert_eq!(format!("{own:?}"), r#"SubsegmentName("depot 7")"#);
}
