//! Redirects and retries inside of a client: one call, and how many there were.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    http::{Uri, header::LOCATION},
    response::Redirect,
    routing::get as route,
};
use bytes::Bytes;
use http::{Extensions, Request, Response, StatusCode};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_xray::{
    Entity, FutureExt, XRayClientLayer,
    client::{
        AttemptLayer,
        reqwest::{XRayMiddleware, count_redirects},
    },
    document::EntityDocument,
};

use crate::support::{recorder, serve};

/// A service that redirects `/` twice, at last to a URL with secrets, and `/loop` to itself.
async fn redirecting() -> SocketAddr {
    let last = async |uri: axum::http::HeaderMap| {
        let host = uri["host"].to_str().unwrap().to_owned();
        (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("http://reader:s3cret@{host}/last?token=s3cret"))])
    };
    serve(
        Router::new()
            .route("/", route(async || Redirect::temporary("/next")))
            .route("/next", route(last))
            .route("/last", route(async |uri: Uri| uri.to_string()))
            .route("/loop", route(async || Redirect::temporary("/loop"))),
    )
    .await
}

fn annotation(call: EntityDocument<'_>, key: &str) -> Option<String> {
    call.annotation(key).map(|value| format!("{value:?}"))
}

#[tokio::test]
async fn reqwest_counts_the_redirects_of_a_call_and_names_the_last_host() {
    let address = redirecting().await;
    for (path, policy, status, redirects) in [
        ("/", Policy::limited(5), 200, Some("Integer(2)")),
        ("/next", Policy::default(), 200, Some("Integer(1)")),
        ("/last", Policy::default(), 200, None),
        ("/", Policy::none(), 307, Some("Integer(1)")),
        ("/loop", Policy::limited(3), 0, Some("Integer(4)")),
    ] {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("orders");
        let client = reqwest::Client::builder().redirect(count_redirects(policy)).build().unwrap();
        let request = reqwest::Request::new(http::Method::GET, format!("http://{address}{path}").parse().unwrap());
        let result = XRayClientLayer::new().layer(client).oneshot(request).in_entity(&segment).await;
        assert_eq!(result.map_or(0, |response| response.status().as_u16()), status, "{path}");
        segment.close();
        let document = documents.take_one();
        let calls: Vec<_> = document.subsegments().collect();
        let [call] = calls[..] else { panic!("{document}") };
        assert_eq!(annotation(call, "redirects").as_deref(), redirects, "{path}");
        let host = redirects.map(|_| address.to_string().into());
        assert_eq!(call.metadata("default", "redirected_to"), host, "{path}");
        assert!(!document.to_json().contains("s3cret"), "{document}");
    }
}

#[tokio::test]
async fn redirects_outside_of_any_call_tell_nothing() {
    let address = redirecting().await;
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let client = reqwest::Client::builder().redirect(count_redirects(Policy::default())).build().unwrap();
    for entity in [segment.entity().clone(), Entity::none()] {
        let request = reqwest::Request::new(http::Method::GET, format!("http://{address}/").parse().unwrap());
        assert_eq!(client.execute(request).in_entity(&entity).await.unwrap().status(), 200);
    }
    segment.close();
    assert_eq!(documents.take_one().annotation("redirects"), None);
}

#[tokio::test]
async fn what_tower_http_follows_is_counted_as_attempts() {
    let address = redirecting().await;
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let client = ServiceBuilder::new()
        .layer(XRayClientLayer::new())
        .layer(FollowRedirectLayer::new())
        .layer(AttemptLayer::new())
        .service(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
    for path in ["/", "/last"] {
        let request = Request::get(format!("http://{address}{path}")).body(Empty::new()).unwrap();
        assert_eq!(client.clone().oneshot(request).in_entity(&segment).await.unwrap().status(), 200);
    }
    segment.close();
    let document = documents.take_one();
    let attempts: Vec<_> = document.subsegments().map(|call| annotation(call, "attempts")).collect();
    assert_eq!(attempts, [Some("Integer(3)".to_owned()), None]);
}

/// Tries again while the status is 503, at most so many times.
#[derive(Clone)]
struct Again(usize);

impl tower::retry::Policy<Request<()>, Response<String>, Infallible> for Again {
    type Future = std::future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<()>,
        result: &mut Result<Response<String>, Infallible>,
    ) -> Option<Self::Future> {
        self.0 = self.0.checked_sub(1)?;
        let busy = result.as_ref().is_ok_and(|response| response.status() == StatusCode::SERVICE_UNAVAILABLE);
        busy.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn tower_retries_are_counted_inside_and_subsegments_outside() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let busy = service_fn(async |_: Request<()>| {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Ok::<_, Infallible>(response)
    });
    let request = || Request::get("http://pricing.test/").body(()).unwrap();
    let inside = ServiceBuilder::new().layer(XRayClientLayer::new()).retry(Again(2)).layer(AttemptLayer::new());
    inside.service(busy).oneshot(request()).in_entity(&segment).await.unwrap();
    let outside = ServiceBuilder::new().retry(Again(1)).map_response(|response: Response<_>| {
        response.map(|_: tower_xray::client::ResponseBody<String>| String::new())
    });
    let outside = outside.layer(XRayClientLayer::new()).layer(AttemptLayer::new()).service(busy);
    outside.oneshot(request()).in_entity(&segment).await.unwrap();
    segment.close();
    let document = documents.take_one();
    let attempts: Vec<_> = document.subsegments().map(|call| annotation(call, "attempts")).collect();
    assert_eq!(attempts, [Some("Integer(3)".to_owned()), None, None]);
    assert!(document.subsegments().all(|call| call.http_status() == Some(503) && call.fault()));
}

#[tokio::test]
async fn a_middleware_that_tries_again_is_counted() {
    struct Twice;

    #[async_trait::async_trait]
    impl Middleware for Twice {
        async fn handle(
            &self,
            request: reqwest::Request,
            extensions: &mut Extensions,
            next: Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            let again = request.try_clone().unwrap();
            next.clone().run(request, extensions).await?;
            next.run(again, extensions).await
        }
    }

    let address = redirecting().await;
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let client = ClientBuilder::new(reqwest::Client::new());
    let client = client.with(XRayMiddleware::new()).with(Twice).with(AttemptLayer::new()).build();
    client.get(format!("http://{address}/last")).send().in_entity(&segment).await.unwrap();
    segment.close();
    let document = documents.take_one();
    let attempts: Vec<_> = document.subsegments().map(|call| annotation(call, "attempts")).collect();
    assert_eq!(attempts, [Some("Integer(2)".to_owned())]);
}
