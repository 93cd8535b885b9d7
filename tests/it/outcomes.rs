//! A strategy hears how the requests end about which it has decided.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::StatusCode,
    routing::{get as route, post},
};
use bytes::Bytes;
use futures_util::{FutureExt, stream::pending};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    XRayLayer,
    document::SegmentDocument,
    sampling::{Decision, Outcome, SamplingRequest, SamplingStrategy},
};

use crate::{server::grpc, support::recorder_with};

/// Samples by its rule, and notes what it hears.
struct Listening {
    sampled: bool,
    heard: Arc<Mutex<Vec<String>>>,
}

impl SamplingStrategy for Listening {
    fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
        Decision::new(self.sampled).by_rule("all")
    }

    fn wants_outcomes(&self) -> bool {
        true
    }

    fn observe(&self, outcome: &Outcome<'_>) {
        let Outcome { rule_name, sampled, service_name, route, status, error, throttle, fault, .. } = outcome;
        assert!(outcome.duration < Duration::from_secs(60));
        let flags = [(error, " error"), (throttle, " throttle"), (fault, " fault")];
        let flags: String = flags.into_iter().filter(|(is_set, _)| **is_set).map(|(_, name)| name).collect();
        let told = format!("{rule_name} {sampled} {service_name} {route:?} {status:?}{flags}");
        self.heard.lock().unwrap().push(told);
    }
}

async fn heard(sampled: bool, path: &str, header: Option<&str>) -> Vec<String> {
    async fn cursed() -> &'static str {
        panic!("order 13 is cursed")
    }

    let heard = Arc::new(Mutex::new(Vec::new()));
    let strategy = Listening { sampled, heard: heard.clone() };
    let (recorder, _documents) = recorder_with(|builder| builder.sampling(strategy));
    let grpc = |trailers_only| {
        post(async move |axum::extract::Path(code): axum::extract::Path<u32>| grpc::response(code, trailers_only))
    };
    let app = Router::new()
        .route("/shop.Heads/{code}", grpc(true))
        .route("/shop.Tails/{code}", grpc(false))
        .route("/orders/{id}", route(async || "an order"))
        .route("/full", route(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/never", route(std::future::pending::<()>))
        .route("/cursed", route(cursed))
        .route("/busy", route(async || StatusCode::TOO_MANY_REQUESTS))
        .route("/fault", route(async || tower_xray::current().add_fault(&io::Error::other("no stock"))))
        .route("/throttle", route(async || tower_xray::current().set_throttle()))
        .layer(XRayLayer::new("orders", recorder.clone()));
    let mut request = match path.starts_with("/shop.") {
        true => Request::post(path).header("content-type", "application/grpc"),
        false => Request::get(path),
    };
    if let Some(header) = header {
        request = request.header("x-amzn-trace-id", header);
    }
    let work = async move {
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_body().collect().await.unwrap();
    };
    let finished = tokio::spawn(async move {
        tokio::select! {
            biased;
            () = work => true,
            () = tokio::task::yield_now() => false,
        }
    });
    assert_eq!(finished.await.unwrap_or(true), path != "/never");
    recorder.begin_segment("report").close();
    let heard = heard.lock().unwrap();
    heard.clone()
}

#[tokio::test]
async fn it_hears_every_end_once_sampled_or_not() {
    for sampled in [true, false] {
        for (path, told) in [
            ("/orders/42", r#"Some("/orders/{id}") Some(200)"#),
            ("/nowhere", "None Some(404) error"),
            ("/full", r#"Some("/full") Some(503) fault"#),
            ("/busy", r#"Some("/busy") Some(429) error throttle"#),
            ("/never", r#"Some("/never") None error"#),
            ("/cursed", r#"Some("/cursed") None fault"#),
            ("/shop.Heads/0", r#"Some("/shop.Heads/0") Some(200)"#),
            ("/shop.Heads/5", r#"Some("/shop.Heads/5") Some(200) error"#),
            ("/shop.Heads/14", r#"Some("/shop.Heads/14") Some(200) fault"#),
            ("/shop.Tails/0", r#"Some("/shop.Tails/0") Some(200)"#),
            ("/shop.Tails/8", r#"Some("/shop.Tails/8") Some(200) error throttle"#),
            ("/shop.Tails/13", r#"Some("/shop.Tails/13") Some(200) fault"#),
        ] {
            assert_eq!(heard(sampled, path, None).await, [format!("all {sampled} orders {told}")]);
        }
    }
}

/// A request that is not recorded has nowhere to keep the flags of the program.
#[tokio::test]
async fn it_hears_of_flags_of_the_program_where_the_request_is_recorded() {
    for (path, flags) in [("/fault", " fault"), ("/throttle", " error throttle")] {
        for (sampled, flags) in [(true, flags), (false, "")] {
            let told = format!("all {sampled} orders Some({path:?}) Some(200){flags}");
            assert_eq!(heard(sampled, path, None).await, [told]);
        }
    }
}

#[tokio::test]
async fn it_hears_nothing_of_what_others_have_decided() {
    for decision in ["0", "1"] {
        let header = format!("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled={decision}");
        assert_eq!(heard(true, "/orders/42", Some(&header)).await, [""; 0]);
    }
}

/// A layer outside panics when it has the response, of which all has been sent.
#[tokio::test]
async fn it_hears_of_the_panic_that_drops_a_response_as_its_document_does() {
    for method in [Method::HEAD, Method::GET] {
        for sampled in [true, false] {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let strategy = Listening { sampled, heard: heard.clone() };
            let (recorder, documents) = recorder_with(|builder| builder.sampling(strategy));
            let service = XRayLayer::new("orders", recorder).layer(service_fn(async |_: Request<()>| {
                // Only its headers tell that there is nothing in it.
                let body = Body::from_stream(pending::<Result<Bytes, Infallible>>());
                Ok::<_, Infallible>(Response::builder().header("content-length", "0").body(body).unwrap())
            }));
            let request = Request::builder().method(&method).body(()).unwrap();
            let outside = async move {
                let mut response = service.oneshot(request).await.unwrap();
                assert!(response.body_mut().frame().now_or_never().is_none());
                panic!("outside");
            };
            assert!(tokio::spawn(outside).await.is_err());
            let faults: Vec<bool> = documents.take().iter().map(SegmentDocument::fault).collect();
            assert_eq!(faults, vec![true; usize::from(sampled)]);
            assert_eq!(*heard.lock().unwrap(), [format!("all {sampled} orders None Some(200) fault")]);
        }
    }
}
