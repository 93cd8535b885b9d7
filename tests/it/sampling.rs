//! Sampling by rules in the program: which rule is about a request, what it grants, and which rules are refused.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    XRayLayer,
    header::X_AMZN_TRACE_ID,
    sampling::{Decision, LocalizedStrategy, Rule, Rules, RulesBuilder, SamplingRequest, SamplingStrategy},
};

use crate::support::recorder_with;

const NOW: Duration = Duration::from_secs(1_755_443_396);

/// A rule that records everything it is about.
fn all(name: &str) -> Rule {
    Rule::new(name).reservoir(0).fixed_rate(1.0)
}

/// A rule that records nothing.
fn nothing(name: &str) -> Rule {
    Rule::new(name).reservoir(0).fixed_rate(0.0)
}

fn strategy(default: Rule, rules: impl IntoIterator<Item = Rule>) -> LocalizedStrategy {
    let builder = Rules::builder().default_rule(default);
    LocalizedStrategy::new(rules.into_iter().fold(builder, RulesBuilder::rule).build().unwrap())
}

fn request<'a>(host: &'a str, method: &'a str, path: &'a str) -> SamplingRequest<'a> {
    SamplingRequest::new("orders", NOW, 0.5).host(host).http_method(method).url_path(path)
}

#[test]
fn a_rule_is_about_requests_that_match_all_of_its_patterns() {
    let rule = Rule::new("x").host("*.example.com").http_method("p?st").url_path("/orders/*").service_name("Orders");
    for (expected, request) in [
        (true, request("api.example.com", "POST", "/orders/7")),
        (true, request("API.EXAMPLE.COM", "POST", "/Orders/")),
        (true, request("api.example.com:8080", "POST", "/orders/7")),
        (false, request("example.com", "POST", "/orders/7")),
        (false, request("api.example.com", "GET", "/orders/7")),
        (false, request("api.example.com", "POST", "/orders")),
        (
            false,
            SamplingRequest::new("billing", NOW, 0.5).host("api.example.com").http_method("POST").url_path("/orders/7"),
        ),
    ] {
        assert_eq!(rule.matches(&request), expected, "{request:?}");
    }
}

#[test]
fn a_host_matches_with_its_port_or_without() {
    for (pattern, host, expected) in [
        ("shop.example.com", "shop.example.com:8080", true),
        ("shop.example.com:8080", "shop.example.com:8080", true),
        ("shop.example.com:*", "shop.example.com:8080", true),
        ("shop.example.com:80", "shop.example.com:8080", false),
        ("shop.example.com:80", "shop.example.com", false),
        ("[::1]", "[::1]:8080", true),
        ("[::1]", "[::1]", true),
        ("[::1]:8080", "[::1]:8080", true),
    ] {
        assert_eq!(Rule::new("x").host(pattern).matches(&request(host, "GET", "/")), expected, "{pattern} and {host}");
    }
}

/// The SDKs for Go, Node and Python let any rule take a segment that has no path, method or host.
#[test]
fn a_value_that_is_missing_matches_only_a_rule_that_leaves_it_open() {
    let bare = SamplingRequest::new("orders", NOW, 0.5);
    let rule = Rule::new("x").url_path("/api/move/*");
    assert!(rule.matches(&bare.http_method("POST").url_path("/api/move/up")));
    assert!(rule.matches(&bare.host("name").url_path("/api/move/up")));
    assert!(!rule.matches(&bare.host("name").http_method("PUT")));
    assert!(!rule.matches(&bare.http_method("GET").url_path("/root")));
    assert!(!Rule::new("x").host("?*").matches(&bare));
    assert!(!Rule::new("x").http_method("GET").matches(&bare));
    assert!(Rule::new("x").matches(&bare));
    assert!(Rule::new("x").service_name("ord*").matches(&bare));
}

#[test]
fn the_first_rule_that_matches_decides_and_the_default_rule_the_rest() {
    let decided = |strategy: &LocalizedStrategy, request| {
        let decision = strategy.decide(&request);
        format!("{} {}", decision.rule_name().unwrap(), decision.is_sampled())
    };
    let by_path = strategy(nothing("Default"), [Rule::new("tests").url_path("/test")]);
    assert_eq!(decided(&by_path, request("test", "test", "/test")), "tests true");
    assert_eq!(decided(&by_path, request("test", "test", "/no")), "Default false");
    assert_eq!(decided(&by_path, SamplingRequest::new("", NOW, 0.5)), "Default false");

    let by_host = strategy(nothing("Default"), [nothing("off").host("test"), Rule::new("on").host("test2")]);
    assert_eq!(decided(&by_host, request("test", "GET", "/")), "off false");
    assert_eq!(decided(&by_host, request("test2", "GET", "/")), "on true");
    assert_eq!(decided(&by_host, request("no", "GET", "/")), "Default false");

    let by_method = strategy(
        nothing("Default"),
        [
            nothing("first").http_method("test"),
            Rule::new("second").http_method("?est"),
            Rule::new("third").http_method("test"),
        ],
    );
    assert_eq!(decided(&by_method, request("x", "test", "/")), "first false");
    assert_eq!(decided(&by_method, request("x", "rest", "/")), "second true");
    assert_eq!(decided(&by_method, request("x", "no", "/")), "Default false");

    let moves = strategy(all("Default"), [nothing("moves").url_path("/api/move/*")]);
    assert_eq!(decided(&moves, request("name", "GET", "/view")), "Default true");
    assert_eq!(decided(&moves, request("name", "method", "/api/move/left")), "moves false");
    assert_eq!(decided(&moves, SamplingRequest::new("worker", NOW, 0.5)), "Default true");
}

#[test]
fn by_default_one_request_per_second_and_five_percent_of_the_others_are_recorded() {
    let strategy = LocalizedStrategy::default();
    let decide = |second, random| {
        strategy.decide(&SamplingRequest::new("orders", NOW + Duration::from_secs(second), random)).is_sampled()
    };
    assert_eq!([decide(0, 0.99), decide(0, 0.99), decide(0, 0.05), decide(0, 0.049)], [true, false, false, true]);
    assert_eq!([decide(1, 0.99), decide(1, 0.99)], [true, false]);
}

#[test]
fn a_fixed_rate_records_exactly_its_part_of_evenly_spread_numbers() {
    for (rate, expected) in [(0.0, 0), (0.001, 1), (0.05, 50), (0.5, 500), (0.999, 999), (1.0, 1000)] {
        let strategy = strategy(Rule::default().reservoir(0).fixed_rate(rate), []);
        let randoms = (0..1000).map(|n| f64::from(n) / 1000.0);
        let sampled = randoms.filter(|random| strategy.decide(&SamplingRequest::new("x", NOW, *random)).is_sampled());
        assert_eq!(sampled.count(), expected, "{rate}");
    }
}

#[test]
fn the_fixed_rate_is_for_what_the_reservoir_does_not_grant() {
    let strategy = strategy(Rule::default().reservoir(10).fixed_rate(0.1), []);
    let randoms = (0..1010).rev().map(|n| f64::from(n) / 1000.0);
    let sampled = randoms.filter(|random| strategy.decide(&SamplingRequest::new("x", NOW, *random)).is_sampled());
    assert_eq!(sampled.count(), 110);
}

#[test]
fn a_recorder_draws_its_random_numbers_evenly() {
    let strategy = strategy(Rule::default().reservoir(0).fixed_rate(0.05), []);
    let (recorder, documents) = recorder_with(|builder| builder.sampling(strategy).seed(7).clock(|| NOW));
    (0..20_000).for_each(|_| recorder.begin_segment("worker").close());
    // Five standard deviations around 1,000.
    assert!((846..=1154).contains(&documents.len()), "{}", documents.len());
    assert_eq!((recorder.stats().opened, recorder.stats().sampled), (20_000, documents.len() as u64));
}

#[test]
fn every_rule_has_a_reservoir_of_its_own() {
    let strategy =
        strategy(nothing("Default"), ["a", "b"].map(|host| Rule::new(host).host(host).reservoir(1).fixed_rate(0.0)));
    let taken = ["a", "a", "b", "b"].map(|host| strategy.decide(&request(host, "GET", "/")).is_sampled());
    assert_eq!(taken, [true, false, true, false]);
}

#[test]
fn a_bad_rule_is_told_what_to_write_instead() {
    let refused = |rules: &[Rule], default: Rule| {
        let builder = rules.iter().cloned().fold(Rules::builder(), RulesBuilder::rule);
        builder.default_rule(default).build().unwrap_err().to_string()
    };
    let long = "x".repeat(33);
    let rate = "sampling rule \"r\": fixed_rate must be between 0 and 1: write 0.05 for 5 %";
    let twice = "name is used twice: give every rule a name of its own";
    for (rule, message) in [
        (Rule::new(""), "sampling rule \"\": name must have 1 to 32 characters".to_owned()),
        (Rule::new(long.as_str()), format!("sampling rule \"{long}\": name must have 1 to 32 characters")),
        (Rule::new("r").fixed_rate(-0.01), rate.to_owned()),
        (Rule::new("r").fixed_rate(1.01), rate.to_owned()),
        (Rule::new("r").fixed_rate(5.0), rate.to_owned()),
        (Rule::new("r").fixed_rate(f64::NAN), rate.to_owned()),
        (Rule::new("r").fixed_rate(f64::INFINITY), rate.to_owned()),
    ] {
        assert_eq!(refused(std::slice::from_ref(&rule), Rule::default()), message);
        assert_eq!(refused(&[], rule), message, "as the default rule");
    }
    for (rule, field) in [
        (Rule::new("r").service_name(""), "service_name"),
        (Rule::new("r").host(""), "host"),
        (Rule::new("r").http_method(""), "http_method"),
        (Rule::new("r").url_path(""), "url_path"),
    ] {
        assert_eq!(
            refused(&[rule], Rule::default()),
            format!("sampling rule \"r\": {field} is empty and would match nothing: write `*` to match everything"),
        );
    }
    assert_eq!(refused(&[Rule::new("r"), Rule::new("r")], Rule::default()), format!("sampling rule \"r\": {twice}"));
    assert_eq!(refused(&[Rule::default()], Rule::default()), format!("sampling rule \"Default\": {twice}"));
    for default in [Rule::default().url_path("/x"), Rule::default().host("x"), Rule::default().service_name("x")] {
        assert_eq!(
            refused(&[], default),
            "sampling rule \"Default\": default rule must match everything: add it with `.rule(…)` instead, or leave its patterns out",
        );
    }
}

#[test]
fn a_name_of_32_characters_and_both_ends_of_the_rate_are_good() {
    let name = "\u{e9}".repeat(32);
    assert!(Rules::builder().rule(all(&name)).rule(nothing("off")).build().is_ok());
    assert_eq!(Rules::builder().build(), Ok(Rules::default()));
}

/// Records nothing but what it is asked about.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl SamplingStrategy for Asked {
    fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
        let SamplingRequest { service_name, host, http_method, url_path, now, random, .. } = request;
        assert!((0.0..1.0).contains(random));
        self.0.lock().unwrap().push(format!("{service_name} {host:?} {http_method:?} {url_path:?} {}", now.as_secs()));
        Decision::new(true).by_rule("asked")
    }
}

#[tokio::test]
async fn a_strategy_is_asked_about_the_request_unless_the_caller_has_decided() {
    let asked = Asked::default();
    let (recorder, documents) = recorder_with(|builder| builder.sampling(asked.clone()).clock(|| NOW));
    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let service = XRayLayer::new("orders", recorder.clone()).layer(handler);
    let request = || Request::post("/orders/%C3%A9?secret=1").header("host", "shop.example.com:8080");
    service.clone().oneshot(request().body(()).unwrap()).await.unwrap();
    assert_eq!(documents.take_one().sampling_rule_name(), Some("asked"));

    let decided = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    service.oneshot(request().header(&X_AMZN_TRACE_ID, decided).body(()).unwrap()).await.unwrap();
    assert_eq!(documents.take_one().sampling_rule_name(), None);

    recorder.begin_segment("worker").close();
    assert_eq!(
        *asked.0.lock().unwrap(),
        [
            "orders Some(\"shop.example.com:8080\") Some(\"POST\") Some(\"/orders/%C3%A9\") 1755443396",
            "worker None None None 1755443396",
        ],
    );
}
