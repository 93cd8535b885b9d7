//! Central sampling rules: fetched through the daemon, shared by all instances, edited while the service runs.
//!
//! In production the daemon or the CloudWatch agent passes the two calls on to X-Ray, and one line is enough:
//! `Recorder::builder().centralized_sampling()`. Here, the local daemon answers in their place; `xray-local --rules FILE`
//! does the same for any service on this machine.
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

use axum::{BoxError, Router, body::Body, http::Request, routing::get};
use tower::ServiceExt;
use tower_xray::{
    Recorder, XRayLayer,
    emitter::InMemoryEmitter,
    sampling::{CentralizedStrategy, centralized::Poller},
};
use xray_local::{LocalDaemon, SamplingRules};

const NOW: u64 = 1_800_000_000;

/// As in the console of X-Ray: 40 orders per second over all instances and half of the others, and little of the rest.
const RULES: &str = r#"{
    "version": 2,
    "rules": [
        { "description": "orders", "host": "*", "http_method": "POST", "url_path": "*", "fixed_target": 40, "rate": 0.5 }
    ],
    "default": { "fixed_target": 5, "rate": 0.05 }
}"#;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // This example has a clock of its own, so that every run tells the same at once.
    let now = Arc::new(AtomicU64::new(NOW));
    let daemon = LocalDaemon::bind("127.0.0.1:0")?;
    daemon.set_clock(clock(&now));
    daemon.set_sampling_rules(SamplingRules::from_json(RULES)?);
    let (strategy, mut poller) = strategy(&daemon, &now)?;
    let builder = Recorder::builder().emitter(InMemoryEmitter::new()).sampling(strategy);
    let recorder = builder.clock(clock(&now)).seed(7).build()?;
    let app = Router::new()
        .route("/orders", get(async || "orders").post(async || "ordered"))
        .layer(XRayLayer::new("shop", recorder.clone()));

    ask(&app).await?;
    tell("Before the rules have arrived, as without a daemon", &recorder);

    poller.step().await;
    ask(&app).await?;
    tell("The rules are there; as there is no quota yet, one request per second is borrowed", &recorder);

    now.fetch_add(11, Relaxed);
    poller.step().await;
    ask(&app).await?;
    tell("Reported, and got a quota: all of the reservoir, which X-Ray would divide among the instances", &recorder);

    now.fetch_add(3601, Relaxed);
    ask(&app).await?;
    tell("The daemon has been silent for an hour", &recorder);
    Ok(())
}

/// A service spawns `poller.run()`, or leaves all of it to `RecorderBuilder::centralized_sampling`; here it is stepped by
/// hand.
fn strategy(daemon: &LocalDaemon, now: &Arc<AtomicU64>) -> Result<(CentralizedStrategy, Poller), BoxError> {
    let address = daemon.local_addr().to_string().parse()?;
    Ok(CentralizedStrategy::builder(address).clock(clock(now)).pair())
}

fn clock(now: &Arc<AtomicU64>) -> impl Fn() -> Duration + Send + Sync + 'static {
    let now = now.clone();
    move || Duration::from_secs(now.load(Relaxed))
}

/// 100 requests of each kind, within one second.
async fn ask(app: &Router) -> Result<(), BoxError> {
    for method in ["GET", "POST"].repeat(100) {
        let request = Request::builder().method(method).uri("http://shop.example/orders").body(Body::empty())?;
        let response = app.clone().oneshot(request).await?;
        axum::body::to_bytes(response.into_body(), 1024).await?;
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
