//! Central sampling rules: fetched through the daemon, shared by all instances, edited while the service runs.
//!
//! In production the daemon or the CloudWatch agent passes the two calls on to X-Ray, and one line is enough:
//! `Recorder::builder().centralized_sampling()`. Here, a router on loopback answers in their place.
//!
//! ```sh
//! cargo run --example centralized_sampling
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    BoxError, Json, Router,
    body::Body,
    http::Request,
    routing::{get, post},
};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_xray::{Recorder, XRayLayer, emitter::InMemoryEmitter, sampling::CentralizedStrategy};

const NOW: u64 = 1_800_000_000;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string().parse()?;
    tokio::spawn(async { axum::serve(listener, x_ray()).await });

    // A service spawns `poller.run()`, or leaves all of it to `RecorderBuilder::centralized_sampling`. This example has
    // a clock of its own and steps by hand, so that every run tells the same at once.
    let now = Arc::new(AtomicU64::new(NOW));
    let time = now.clone();
    let clock = move || Duration::from_secs(time.load(Relaxed));
    let (strategy, mut poller) = CentralizedStrategy::builder(address).clock(clock.clone()).pair();
    let emitter = InMemoryEmitter::new();
    let recorder = Recorder::builder().emitter(emitter.clone()).sampling(strategy).clock(clock).seed(7).build()?;
    let app = Router::new()
        .route("/orders", get(async || "orders").post(async || "ordered"))
        .layer(XRayLayer::new("shop", recorder.clone()));

    ask(&app).await?;
    tell("Before the rules have arrived, as without daemon", &recorder);

    let wait = poller.step().await;
    ask(&app).await?;
    tell("The rules are there; while there is no quota, one request per second is borrowed", &recorder);

    now.fetch_add(wait.as_secs() + 1, Relaxed);
    poller.step().await;
    ask(&app).await?;
    tell("X-Ray has had a report, and grants quotas", &recorder);

    now.fetch_add(3600, Relaxed);
    ask(&app).await?;
    tell("The daemon has been gone for an hour", &recorder);
    Ok(())
}

/// 100 requests of each kind, within one second.
async fn ask(app: &Router) -> Result<(), BoxError> {
    for _ in 0..100 {
        for method in ["GET", "POST"] {
            let request = Request::builder().method(method).uri("http://shop.example/orders").body(Body::empty())?;
            let response = app.clone().oneshot(request).await?;
            axum::body::to_bytes(response.into_body(), 1024).await?;
        }
    }
    Ok(())
}

fn tell(what: &str, recorder: &Recorder) {
    let sampling = recorder.stats().sampling;
    println!("{what}: {:?}", sampling.source);
    for rule in sampling.rules {
        let quota = rule.quota.map_or_else(|| "none".to_owned(), |quota| quota.to_string());
        println!(
            "    {:<9}{:>4} requests,{:>4} sampled, of these{:>3} borrowed; quota {quota}, rate {}",
            rule.name, rule.requests, rule.sampled, rule.borrowed, rule.rate,
        );
    }
}

/// What X-Ray answers: all rules, and a part of their reservoirs for whoever has reported.
fn x_ray() -> Router {
    let rule = |name: &str, priority: u32, method: &str, reservoir: u32, rate: f64| {
        json!({ "SamplingRule": {
            "RuleName": name, "Priority": priority, "ReservoirSize": reservoir, "FixedRate": rate, "HTTPMethod": method,
            "ServiceName": "*", "ServiceType": "*", "Host": "*", "URLPath": "*", "ResourceARN": "*", "Version": 1,
        } })
    };
    let rules = json!({ "SamplingRuleRecords": [
        rule("orders", 100, "POST", 40, 0.5),
        rule("Default", 10_000, "*", 5, 0.05),
    ] });
    let targets = async |Json(report): Json<Value>| {
        let target = |statistics: &Value| {
            let orders = statistics["RuleName"] == "orders";
            json!({
                "RuleName": statistics["RuleName"], "FixedRate": if orders { 0.5 } else { 0.05 }, "Interval": 10,
                "ReservoirQuota": if orders { 20 } else { 2 }, "ReservoirQuotaTTL": NOW + 60,
            })
        };
        let statistics = report["SamplingStatisticsDocuments"].as_array().map(Vec::as_slice).unwrap_or_default();
        Json(json!({ "SamplingTargetDocuments": statistics.iter().map(target).collect::<Vec<_>>() }))
    };
    Router::new().route("/GetSamplingRules", post(async || Json(rules))).route("/SamplingTargets", post(targets))
}
