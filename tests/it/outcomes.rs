//! A strategy hears how the requests end about which it has decided.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::StatusCode,
    routing::{get as route, post},
};
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_xray::{
    XRayLayer,
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
        let Outcome { rule_name, sampled, service_name, route, status, error, fault, duration, .. } = outcome;
        assert!(*duration < Duration::from_secs(60));
        let told = format!("{rule_name} {sampled} {service_name} {route:?} {status:?} {error} {fault}");
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
            ("/orders/42", r#"Some("/orders/{id}") Some(200) false false"#),
            ("/nowhere", "None Some(404) true false"),
            ("/full", r#"Some("/full") Some(503) false true"#),
            ("/never", r#"Some("/never") None true false"#),
            ("/cursed", r#"Some("/cursed") None false true"#),
            ("/shop.Heads/0", r#"Some("/shop.Heads/0") Some(200) false false"#),
            ("/shop.Heads/5", r#"Some("/shop.Heads/5") Some(200) true false"#),
            ("/shop.Heads/14", r#"Some("/shop.Heads/14") Some(200) false true"#),
            ("/shop.Tails/0", r#"Some("/shop.Tails/0") Some(200) false false"#),
            ("/shop.Tails/8", r#"Some("/shop.Tails/8") Some(200) true false"#),
            ("/shop.Tails/13", r#"Some("/shop.Tails/13") Some(200) false true"#),
        ] {
            assert_eq!(heard(sampled, path, None).await, [format!("all {sampled} orders {told}")]);
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
