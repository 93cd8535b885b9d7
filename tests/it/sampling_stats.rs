//! What a recorder tells of its sampling: requests and sampled ones, rule by rule.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    XRayLayer,
    header::X_AMZN_TRACE_ID,
    sampling::{LocalizedStrategy, Rules, SampleAll, SamplingSource, SamplingStats},
};

use crate::support::recorder_with;

/// The rules of a recorder, one a line.
fn rendered(stats: &SamplingStats) -> Vec<String> {
    assert_eq!((stats.source, stats.age), (SamplingSource::Local, None));
    let rule = stats.rules.iter().map(|rule| {
        let (name, requests, sampled, rate) = (&rule.name, rule.requests, rule.sampled, rule.rate);
        format!("{name}: {sampled} of {requests}, {:?} + {rate}, {} borrowed", rule.quota, rule.borrowed)
    });
    rule.collect()
}

#[tokio::test]
async fn a_recorder_counts_the_decisions_of_every_rule_and_not_those_of_its_callers() {
    let rules = Rules::from_json(
        r#"{
            "version": 2,
            "rules": [
                {"description": "health", "host": "*", "http_method": "*", "url_path": "/healthz", "fixed_target": 0, "rate": 0},
                {"description": "orders", "host": "*", "http_method": "*", "url_path": "/orders/*", "fixed_target": 2, "rate": 0},
                {"description": "never", "host": "none.example", "http_method": "*", "url_path": "*", "fixed_target": 2, "rate": 0.5}
            ],
            "default": {"fixed_target": 0, "rate": 1}
        }"#,
    );
    let strategy = LocalizedStrategy::new(rules.unwrap());
    let (recorder, documents) =
        recorder_with(|builder| builder.sampling(strategy).clock(|| Duration::from_secs(1_755_443_396)));
    let before = recorder.stats().sampling;
    assert_eq!(before.rules.iter().map(|rule| (rule.requests, rule.sampled)).collect::<Vec<_>>(), [(0, 0); 4]);

    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let service = XRayLayer::new("orders", recorder.clone()).layer(handler);
    for (path, times) in [("/healthz", 5), ("/orders/7", 3), ("/", 4)] {
        for _ in 0..times {
            service.clone().oneshot(Request::get(path).body(()).unwrap()).await.unwrap();
        }
    }
    for decided in ["Sampled=1", "Sampled=0"] {
        let header = format!("Root=1-5759e988-bd862e3fe1be46a994272793;{decided}");
        let request = Request::get("/orders/7").header(&X_AMZN_TRACE_ID, header);
        service.clone().oneshot(request.body(()).unwrap()).await.unwrap();
    }
    recorder.begin_segment("worker").close();

    let stats = recorder.stats();
    assert_eq!(
        rendered(&stats.sampling),
        [
            "health: 0 of 5, Some(0) + 0, 0 borrowed",
            "orders: 2 of 3, Some(2) + 0, 0 borrowed",
            "never: 0 of 0, Some(2) + 0.5, 0 borrowed",
            "Default: 5 of 5, Some(0) + 1, 0 borrowed",
        ],
    );
    // One more of each that the callers have decided about.
    assert_eq!((stats.opened, stats.sampled, documents.len()), (15, 8, 8));
}

#[test]
fn a_strategy_without_rules_has_no_statistics() {
    let (recorder, _) = recorder_with(|builder| builder.sampling(SampleAll));
    recorder.begin_segment("worker").close();
    assert_eq!(recorder.stats().sampling, SamplingStats::default());
}
