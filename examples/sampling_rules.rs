//! Sampling rules: which requests are recorded, and by which rule.
//!
//! ```sh
//! cargo run --example sampling_rules
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use axum::{
    BoxError,
    body::Body,
    http::{Request, Response},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    Recorder, XRayLayer,
    emitter::InMemoryEmitter,
    sampling::{LocalizedStrategy, Rule, Rules},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // The first rule that matches decides. Its reservoir of every second goes first, then its fixed rate.
    let rules = Rules::builder()
        .rule(Rule::new("health").url_path("/healthz").reservoir(0).fixed_rate(0.0))
        .rule(Rule::new("checkout").http_method("POST").url_path("/checkout/*").reservoir(10).fixed_rate(1.0))
        .default_rule(Rule::default().reservoir(1).fixed_rate(0.05))
        .build()?;

    // The same as the local rules document of the X-Ray SDKs; `Rules::from_file` reads it from a file.
    let json = r#"{
        "version": 2,
        "rules": [
            {"description": "health", "host": "*", "http_method": "*", "url_path": "/healthz", "fixed_target": 0, "rate": 0},
            {"description": "checkout", "host": "*", "http_method": "POST", "url_path": "/checkout/*", "fixed_target": 10, "rate": 1}
        ],
        "default": {"fixed_target": 1, "rate": 0.05}
    }"#;

    println!("100 requests of a kind, all within one second. Rules in the program record:");
    let counts = record(rules).await?;
    print(&counts);
    println!("\nRules from JSON record:");
    let counts_by_json = record(Rules::from_json(json)?).await?;
    print(&counts_by_json);
    assert_eq!(counts, counts_by_json);

    let wrong = Rules::builder().rule(Rule::new("half").fixed_rate(50.0)).build();
    println!("\nA bad rule is an error when the rules are built, or read:");
    println!("    {}", wrong.expect_err("50 is no rate"));
    println!("    {}", Rules::from_json(&json.replace("0.05", "5")).expect_err("5 is no rate"));
    println!("    {}", Rules::from_json(&json.replace("\"rules\"", "rules")).expect_err("this is not JSON"));
    Ok(())
}

/// By rule and URL.
type Counts = BTreeMap<(String, String), u32>;

/// Serves 100 requests of three kinds, and counts what is recorded.
async fn record(rules: Rules) -> Result<Counts, BoxError> {
    // This clock stands still and this seed is fixed, so that every run tells the same: leave both out in a service.
    let emitter = InMemoryEmitter::new();
    let recorder = Recorder::builder()
        .emitter(emitter.clone())
        .sampling(LocalizedStrategy::new(rules))
        .clock(|| Duration::from_secs(1_800_000_000))
        .seed(7)
        .build()?;
    let service = XRayLayer::new("shop", recorder.clone())
        .layer(service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty()))));

    for _ in 0..100 {
        for (method, path) in [("GET", "/healthz"), ("POST", "/checkout/42"), ("GET", "/orders/42")] {
            let request =
                Request::builder().method(method).uri(format!("http://shop.example{path}")).body(Body::empty())?;
            service.clone().oneshot(request).await?;
        }
    }

    let mut counts = Counts::new();
    for document in emitter.take() {
        let rule = document.sampling_rule_name().unwrap_or("none").to_owned();
        *counts.entry((rule, document.root().http_url().to_owned())).or_default() += 1;
    }
    Ok(counts)
}

fn print(counts: &Counts) {
    for ((rule, url), count) in counts {
        println!("{count:>5} by rule {rule:<10} {url}");
    }
}
