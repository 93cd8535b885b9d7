//! Adaptive sampling: anomalies are reported, and boosts applied while they last.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    XRayLayer,
    sampling::{Outcome, SamplingRequest, SamplingStrategy},
};

use super::{
    Instance, START,
    daemon::{Call, Daemon, Reply, answers},
    rule, rules, target, targets,
};
use crate::support::recorder_with;

/// A rule that X-Ray may boost, and one that it may not; neither borrows.
fn boostable() -> Value {
    let boost = json!({ "SamplingRateBoost": { "MaxRate": 0.5, "CooldownWindowMinutes": 10 }, "URLPath": "/orders*" });
    rules([rule("orders", 1, 0.1, 0, boost), rule("Default", 10_000, 0.1, 0, Value::Null)])
}

/// The boost statistics that were reported since the last time.
fn reported(daemon: &Daemon) -> Value {
    let of = |call: Call| call.body.get("SamplingBoostStatisticsDocuments").cloned();
    daemon.calls().into_iter().filter_map(of).collect()
}

#[tokio::test]
async fn the_ends_of_requests_are_reported_for_rules_that_may_be_boosted() {
    let daemon = Daemon::with(boostable(), targets([])).await;
    let mut instance = Instance::new(&daemon);
    assert!(!instance.strategy.wants_outcomes(), "there are no rules yet");
    instance.step().await;
    assert!(instance.strategy.wants_outcomes());
    let now = instance.now.clone();
    let (recorder, _documents) = recorder_with(|builder| {
        builder.sampling(instance.strategy.clone()).seed(3).clock(move || *now.lock().unwrap())
    });
    let layer = XRayLayer::new("shop", recorder);
    for (path, status, header) in [
        ("/orders/1", 200, None),
        ("/orders/2", 500, None),
        ("/orders/3", 404, None),
        ("/orders/4", 503, None),
        ("/other", 500, None),
        // Whoever has decided counts it.
        ("/orders/5", 500, Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")),
    ] {
        let answers = service_fn(move |_: Request<()>| async move {
            Ok::<_, Infallible>(Response::builder().status(status).body(String::new()).unwrap())
        });
        let mut request = Request::get(path);
        if let Some(header) = header {
            request = request.header("x-amzn-trace-id", header);
        }
        layer.layer(answers).oneshot(request.body(()).unwrap()).await.unwrap();
    }
    let sampled: u64 = instance.strategy.stats().rules[0].sampled;
    assert_eq!(sampled, 0, "the seed is one with which none of these few is sampled");
    daemon.calls();
    instance.step().await;
    let expected = json!([[{
        "RuleName": "orders", "ServiceName": "shop", "Timestamp": START + 10,
        "AnomalyCount": 2, "TotalCount": 4, "SampledAnomalyCount": 0,
    }]]);
    assert_eq!(reported(&daemon), expected);
    instance.step().await;
    assert_eq!(reported(&daemon), json!([]), "they are reported once");
}

#[tokio::test]
async fn what_an_anomaly_is_can_be_said_and_counts_come_back_when_a_report_fails() {
    let daemon = Daemon::start(answers(boostable(), targets([]))).await;
    let mut instance = Instance::adjusted(&daemon, |builder| {
        builder.anomaly(|outcome| outcome.duration > Duration::from_secs(3) || outcome.route == Some("/bad"))
    });
    instance.step().await;
    for (sampled, seconds, route) in [(true, 1, None), (true, 4, None), (false, 1, Some("/bad"))] {
        let request = SamplingRequest::new("shop", instance.now(), 0.9).url_path("/orders");
        assert_eq!(instance.rule_for(request), "orders");
        let mut outcome = Outcome::new("shop", "orders", sampled, instance.now());
        (outcome.duration, outcome.route, outcome.fault) = (Duration::from_secs(seconds), route, true);
        instance.strategy.observe(&outcome);
    }
    daemon.answer(|_| Reply::Status(500, "", ""));
    instance.step().await;
    assert_eq!(reported(&daemon).as_array().unwrap().len(), 1);
    daemon.answer(answers(boostable(), targets([])));
    instance.step().await;
    let again = reported(&daemon);
    let counts =
        ["TotalCount", "AnomalyCount", "SampledAnomalyCount"].map(|count| again[0][0][count].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 1]);
}

#[tokio::test]
async fn a_boost_holds_until_its_end_and_never_lowers_the_rate() {
    for (boost, boosted) in [(0.5, "SS--"), (0.05, "S---")] {
        let boost = json!({ "SamplingBoost": { "BoostRate": boost, "BoostRateTTL": START + 30 } });
        let daemon = Daemon::with(boostable(), targets([target("Default", 0.1, boost)])).await;
        let mut instance = Instance::ready(&daemon).await;
        let randoms = [0.09, 0.11, 0.51, 0.9];
        assert_eq!(instance.decide_all(&randoms), "S---");
        instance.step().await;
        assert_eq!(instance.decide_all(&randoms), boosted);
        instance.pass(Duration::from_secs(25));
        assert_eq!(instance.decide_all(&randoms), "S---", "it has ended");
    }
}
