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

    println!("{} requests, 100 of a kind, within one second; recorded:", recorder.stats().opened);
    let mut counts = BTreeMap::new();
    for document in emitter.take() {
        let rule = document.sampling_rule_name().unwrap_or("none").to_owned();
        *counts.entry((rule, document.root().http_url().to_owned())).or_insert(0) += 1;
    }
    for ((rule, url), count) in counts {
        println!("{count:>5} by rule {rule:<10} {url}");
    }

    let wrong = Rules::builder().rule(Rule::new("half").fixed_rate(50.0)).build();
    println!("\nA bad rule is an error when the rules are built:\n    {}", wrong.expect_err("50 is no rate"));
    Ok(())
}
