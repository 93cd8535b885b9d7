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
    local::{LocalDaemon, SamplingRules},
    sampling::{CentralizedStrategy, centralized::Poller},
};

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
    let mut instances = [instance(&daemon, &now)?, instance(&daemon, &now)?];
    let first = instances[0].recorder.clone();

    ask(&instances).await?;
    tell("Before the rules have arrived, as without daemon", &first);

    for instance in &mut instances {
        instance.poller.step().await;
    }
    ask(&instances).await?;
    tell("The rules are there; while there is no quota, one request per second is borrowed", &first);

    // Both report twice: the first time, the first one is alone for all that X-Ray knows.
    for _ in 0..2 {
        now.fetch_add(11, Relaxed);
        for instance in &mut instances {
            instance.poller.step().await;
        }
        ask(&instances).await?;
    }
    tell("X-Ray has had reports, and shares its reservoirs among the two instances", &first);

    now.fetch_add(3601, Relaxed);
    ask(&instances).await?;
    tell("The daemon has been gone for an hour", &first);
    Ok(())
}

/// A service with its sampler.
struct Instance {
    app: Router,
    recorder: Recorder,
    /// A service spawns `poller.run()`, or leaves all of it to `RecorderBuilder::centralized_sampling`; here it is
    /// stepped by hand.
    poller: Poller,
}

fn instance(daemon: &LocalDaemon, now: &Arc<AtomicU64>) -> Result<Instance, BoxError> {
    let address = daemon.local_addr().to_string().parse()?;
    let (strategy, poller) = CentralizedStrategy::builder(address).clock(clock(now)).pair();
    let builder = Recorder::builder().emitter(InMemoryEmitter::new()).sampling(strategy);
    let recorder = builder.clock(clock(now)).seed(7).build()?;
    let app = Router::new()
        .route("/orders", get(async || "orders").post(async || "ordered"))
        .layer(XRayLayer::new("shop", recorder.clone()));
    Ok(Instance { app, recorder, poller })
}

fn clock(now: &Arc<AtomicU64>) -> impl Fn() -> Duration + Send + Sync + 'static {
    let now = now.clone();
    move || Duration::from_secs(now.load(Relaxed))
}

/// 100 requests of each kind to each instance, within one second.
async fn ask(instances: &[Instance]) -> Result<(), BoxError> {
    for Instance { app, .. } in instances {
        for method in ["GET", "POST"].repeat(100) {
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
