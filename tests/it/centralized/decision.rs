//! Which rule is about a request, and what it says.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    XRayLayer,
    header::X_AMZN_TRACE_ID,
    sampling::{Decision, SamplingRequest, SamplingStrategy, centralized::CentralizedBuilder},
};

use super::{Instance, START, daemon::Daemon, rule, rules, target, targets};
use crate::support::recorder_with;

const NOW: Duration = Duration::from_secs(START);

fn bare(service_name: &str) -> SamplingRequest<'_> {
    SamplingRequest::new(service_name, NOW, 0.5)
}

async fn daemon(records: impl IntoIterator<Item = Value>) -> Daemon {
    Daemon::with(rules(records), targets([])).await
}

/// An instance with one rule, whose first report was answered with this target.
async fn granted(rate: f64, reservoir: u32, granted: Value) -> (Instance, Daemon) {
    let daemon = Daemon::with(
        rules([rule("r1", 1, rate, reservoir, Value::Null)]),
        targets([target("r1", granted["FixedRate"].as_f64().unwrap(), granted)]),
    )
    .await;
    let mut instance = Instance::ready(&daemon).await;
    instance.decide_all(&[1.0]);
    instance.step().await;
    (instance, daemon)
}

#[tokio::test]
async fn rules_are_tried_by_priority_then_by_name_and_default_last() {
    for names in [["r1", "r2", "r3"], ["r3", "r2", "r1"], ["r2", "r3", "r1"]] {
        let priority = |name| if name == "r3" { 7 } else { 5 };
        let default = rule("Default", 1, 0.5, 1, Value::Null);
        let records = names.map(|name| rule(name, priority(name), 0.1, 1, Value::Null));
        let daemon = daemon([default].into_iter().chain(records)).await;
        let stats = Instance::ready(&daemon).await.stats();
        let expected = ["r1", "r2", "r3"].map(|name| format!("{name} 0/0/0 quota none rate 0.1"));
        assert_eq!(stats[1..4], expected);
        assert_eq!(stats[4..], ["Default 0/0/0 quota none rate 0.5"]);
    }
}

#[tokio::test]
async fn the_first_rule_that_matches_all_fields_decides() {
    let of = |name, priority, host, method, path, service| {
        let fields = json!({ "Host": host, "HTTPMethod": method, "URLPath": path, "ServiceName": service });
        rule(name, priority, 0.1, 1, fields)
    };
    let daemon = daemon([
        of("Default", 1000, "*", "*", "*", "*"),
        of("b", 3, "*", "*", "ping", "myapp"),
        of("a", 1, "*mydomain*", "GET", "myop", "random"),
        of("aa", 2, "*random*", "POST", "random", "proxy"),
    ])
    .await;
    let instance = Instance::ready(&daemon).await;
    let full = |service, host, method, path| bare(service).host(host).http_method(method).url_path(path);
    for (rule, request) in [
        ("a", full("random", "mydomain.com", "GET", "myop")),
        ("a", full("RANDOM", "www.MyDomain.com:8080", "get", "MYOP")),
        ("aa", full("proxy", "a.random.host", "POST", "random")),
        ("b", full("myapp", "anything", "DELETE", "ping")),
        ("b", bare("myapp").url_path("ping")),
        ("Default", full("random", "mydomain.com", "GET", "other")),
        ("Default", full("random", "mydomain.com", "PUT", "myop")),
        ("Default", full("random", "unknown", "GET", "myop")),
        ("Default", full("other", "mydomain.com", "GET", "myop")),
        ("Default", bare("random")),
        ("Default", bare("proxy")),
        ("Default", bare("myapp")),
        ("Default", bare("myapp").host("unknown").url_path("unknown")),
    ] {
        assert_eq!(instance.rule_for(request), rule, "{request:?}");
    }
}

#[tokio::test]
async fn a_host_matches_with_its_port_or_without() {
    for (pattern, host, expected) in [
        ("shop.example.com", "shop.example.com:8080", "x"),
        ("shop.example.com:80*", "shop.example.com:8080", "x"),
        ("shop.example.com:80", "shop.example.com:8080", "none"),
        ("shop.example.com:80", "shop.example.com", "none"),
        ("[::1]", "[::1]:8080", "x"),
    ] {
        let daemon = daemon([rule("x", 1, 0.1, 1, json!({ "Host": pattern }))]).await;
        let instance = Instance::ready(&daemon).await;
        assert_eq!(instance.rule_for(bare("shop").host(host)), expected, "{pattern} and {host}");
    }
}

#[tokio::test]
async fn service_type_resource_and_attributes_are_those_of_the_service() {
    let attributes = json!({ "ip": "127.*.1", "compression": "*" });
    let daemon = daemon([
        rule("type", 1, 0.1, 1, json!({ "ServiceType": "aws::ec2::*" })),
        rule("arn", 2, 0.1, 1, json!({ "ResourceARN": "arn:aws:ecs:*:container/??" })),
        rule(
            "attributes",
            3,
            0.1,
            1,
            json!({ "Attributes": attributes, "ServiceName": "*.foo.*", "URLPath": "/bar/*" }),
        ),
        rule("Default", 10_000, 0.1, 1, Value::Null),
    ])
    .await;
    let request = bare("ec2.foo.com").url_path("/bar/baz");
    let mut rules = Vec::new();
    let services: [fn(CentralizedBuilder) -> CentralizedBuilder; 8] = [
        |builder| builder,
        |builder| builder.service_type("AWS::EC2::Instance"),
        |builder| builder.service_type("AWS::ECS::Fargate"),
        |builder| builder.resource_arn("arn:aws:ecs:eu-central-1:container/42"),
        |builder| builder.resource_arn("arn:aws:ecs:eu-central-1:container/7"),
        |builder| builder.attribute("ip", "127.0.0.1").attribute("compression", "gzip").attribute("more", "1"),
        |builder| builder.attribute("ip", "127.0.0.1"),
        |builder| builder.attribute("ip", "127.0.0.2").attribute("compression", "gzip"),
    ];
    for adjust in services {
        let mut instance = Instance::adjusted(&daemon, adjust);
        instance.step().await;
        rules.push(instance.rule_for(request));
        assert_ne!(instance.rule_for(bare("ec2.bar.com").url_path("/bar/baz")), "attributes");
    }
    assert_eq!(rules, ["Default", "type", "Default", "arn", "Default", "attributes", "Default", "Default"]);
}

#[tokio::test]
async fn without_a_quota_one_request_per_second_is_borrowed_and_the_rate_applies_to_the_others() {
    let daemon = daemon([rule("r1", 1, 0.06, 10, Value::Null)]).await;
    let instance = Instance::ready(&daemon).await;
    assert_eq!(instance.decide_all(&[0.99, 0.05, 0.06, 0.07]), "SS--");
    instance.pass(Duration::from_secs(1));
    assert_eq!(instance.decide_all(&[0.99, 0.99]), "S-");
    assert_eq!(instance.stats(), ["Central 1", "r1 6/3/2 quota none rate 0.06"]);
}

#[tokio::test]
async fn a_late_reading_of_the_clock_does_not_borrow_twice() {
    let daemon = daemon([rule("r1", 1, 0.0, 10, Value::Null)]).await;
    let instance = Instance::ready(&daemon).await;
    let at = |second| {
        let request = SamplingRequest::new("shop", NOW + Duration::from_secs(second), 0.5);
        instance.strategy.decide(&request).is_sampled()
    };
    assert_eq!([at(0), at(1), at(0), at(1), at(0), at(2)], [true, true, false, false, false, true]);
}

#[tokio::test]
async fn a_rule_without_reservoir_does_not_borrow() {
    let daemon = daemon([rule("r1", 1, 0.06, 0, Value::Null)]).await;
    assert_eq!(Instance::ready(&daemon).await.decide_all(&[0.99, 0.05, 0.06]), "-S-");
}

#[tokio::test]
async fn the_ends_of_the_rate_are_never_and_always() {
    let daemon =
        daemon([rule("never", 1, 0.0, 0, json!({ "URLPath": "/x" })), rule("always", 2, 1.0, 0, Value::Null)]).await;
    let instance = Instance::ready(&daemon).await;
    let decide = |random| {
        let request = SamplingRequest::new("shop", NOW, random);
        [request.url_path("/x"), request].map(|request| instance.strategy.decide(&request).is_sampled())
    };
    assert_eq!([decide(0.0), decide(0.999_999)], [[false, true], [false, true]]);
}

#[tokio::test]
async fn a_quota_goes_first_and_then_the_rate_of_the_target() {
    let (instance, _daemon) = granted(
        0.5,
        20,
        json!({
            "FixedRate": 0.06, "ReservoirQuota": 3, "ReservoirQuotaTTL": START + 60, "Interval": 10,
        }),
    )
    .await;
    assert_eq!(instance.decide_all(&[0.99, 0.99, 0.99, 0.05, 0.07]), "SSSS-");
    instance.pass(Duration::from_secs(1));
    assert_eq!(instance.decide_all(&[0.99, 0.99, 0.99, 0.99]), "SSS-");
    assert_eq!(instance.stats(), ["Central 11", "r1 10/8/1 quota 3 rate 0.06"]);
}

/// …060 is still good, …061 is not.
#[tokio::test]
async fn a_quota_holds_through_the_second_of_its_end_and_then_a_request_is_borrowed() {
    let (instance, _daemon) = granted(
        0.06,
        20,
        json!({
            "FixedRate": 0.06, "ReservoirQuota": 2, "ReservoirQuotaTTL": 1.500_000_06e9,
        }),
    )
    .await;
    instance.pass(NOW + Duration::from_millis(60_999) - instance.now());
    assert_eq!(instance.decide_all(&[0.99, 0.99, 0.99]), "SS-");
    instance.pass(Duration::from_millis(1));
    assert_eq!(instance.decide_all(&[0.99, 0.05, 0.07]), "SS-");
    assert_eq!(instance.stats(), ["Central 61", "r1 7/5/2 quota none rate 0.06"]);
}

#[tokio::test]
async fn a_quota_of_nothing_does_not_borrow() {
    let (instance, _daemon) =
        granted(0.06, 20, json!({ "FixedRate": 0.06, "ReservoirQuota": 0, "ReservoirQuotaTTL": START + 60 })).await;
    assert_eq!(instance.decide_all(&[0.99, 0.05]), "-S");
}

#[tokio::test]
async fn a_boost_is_the_rate_until_it_ends_unless_it_is_lower() {
    let boost = |rate| json!({ "FixedRate": 0.1, "SamplingBoost": { "BoostRate": rate, "BoostRateTTL": START + 30 } });
    let (instance, _daemon) = granted(0.1, 0, boost(0.35)).await;
    assert_eq!(instance.decide_all(&[0.34, 0.35]), "S-");
    assert_eq!(instance.stats()[1], "r1 3/1/0 quota none rate 0.35");
    instance.pass(NOW + Duration::from_millis(29_999) - instance.now());
    assert_eq!(instance.decide_all(&[0.34]), "S");
    instance.pass(Duration::from_millis(1));
    assert_eq!(instance.decide_all(&[0.34, 0.09]), "-S");

    let (instance, _daemon) = granted(0.1, 0, boost(0.05)).await;
    assert_eq!(instance.decide_all(&[0.09]), "S");
    let endless = json!({ "FixedRate": 0.1, "SamplingBoost": { "BoostRate": 0.9 } });
    let (instance, _daemon) = granted(0.1, 0, endless).await;
    assert_eq!(instance.decide_all(&[0.11]), "-");
}

#[tokio::test]
async fn before_the_first_rules_one_request_per_second_and_five_percent_are_sampled_by_no_rule() {
    let daemon = daemon([]).await;
    let instance = Instance::new(&daemon);
    assert_eq!(instance.decide_all(&[0.99, 0.99, 0.05, 0.049]), "S--S");
    instance.pass(Duration::from_secs(1));
    assert_eq!(instance.decide(0.99), Decision::new(true));
    assert_eq!(instance.stats(), ["Fallback", "fallback 5/3/0 quota 1 rate 0.05"]);
}

#[tokio::test]
async fn a_request_that_no_rule_is_about_is_left_to_the_fallback() {
    let daemon = daemon([rule("orders", 1, 0.0, 0, json!({ "URLPath": "/orders/*" }))]).await;
    let instance = Instance::ready(&daemon).await;
    assert_eq!(instance.decide_all(&[0.99, 0.99]), "S-");
    assert_eq!(instance.stats()[2], "fallback 2/1/0 quota 1 rate 0.05");
}

#[tokio::test]
async fn a_decision_of_the_caller_is_not_counted() {
    let daemon = daemon([rule("r1", 1, 1.0, 1, Value::Null)]).await;
    let Instance { strategy, mut poller, .. } = Instance::new(&daemon);
    poller.step().await;
    let (recorder, documents) = recorder_with(|builder| builder.sampling(strategy).clock(|| NOW));
    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let service = XRayLayer::new("shop", recorder.clone()).layer(handler);
    for decided in ["0", "1", "?"] {
        let header = format!("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled={decided}");
        let request = Request::get("/").header(&X_AMZN_TRACE_ID, header).body(()).unwrap();
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(super::lines(&recorder.stats().sampling)[1..], ["r1 1/1/1 quota none rate 1"]);
    let names: Vec<_> =
        documents.take().iter().map(|document| document.sampling_rule_name().map(str::to_owned)).collect();
    assert_eq!(names, [None, Some("r1".to_owned())]);
}
