//! One sampling decision: by few rules, by many, by rules from JSON, by central rules, and with wildcards that are made to be slow.
//!
//! `cargo bench --bench sampling` prints times, and allocations with their bytes.

use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use tower_xray::sampling::{
    CentralizedStrategy, LocalizedStrategy, Rule, Rules, RulesBuilder, SamplingRequest, SamplingStrategy,
    wildcard_match,
};
use xray_local::{LocalDaemon, SamplingRules};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn main() {
    divan::main();
}

#[divan::bench]
fn one_rule(bencher: Bencher<'_, '_>) {
    decide(bencher, rules(1), "checkout", "/checkout/42");
}

#[divan::bench]
fn the_last_of_25_rules(bencher: Bencher<'_, '_>) {
    decide(bencher, rules(25), "checkout", "/checkout/42");
}

#[divan::bench]
fn the_default_rule_after_25(bencher: Bencher<'_, '_>) {
    decide(bencher, rules(25), "Default", "/orders/42");
}

#[divan::bench]
fn the_last_of_25_rules_from_json(bencher: Bencher<'_, '_>) {
    decide(bencher, Rules::from_json(&json()).expect("good rules"), "checkout", "/checkout/42");
}

#[divan::bench]
fn the_last_of_25_central_rules(bencher: Bencher<'_, '_>) {
    let daemon = LocalDaemon::bind("127.0.0.1:0").expect("a free port");
    daemon.set_sampling_rules(SamplingRules::from_json(&json()).expect("good rules"));
    let address = daemon.local_addr().to_string().parse().expect("an address");
    let (strategy, mut poller) = CentralizedStrategy::builder(address).clock(|| NOW).pair();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(poller.step());
    decide_by(bencher, &strategy, "checkout", "/checkout/42");
}

#[divan::bench]
fn parse_25_rules_from_json(bencher: Bencher<'_, '_>) {
    let json = json();
    bencher.bench_local(|| Rules::from_json(black_box(&json)));
}

#[divan::bench(args = ["*", "/checkout/42", "/checkout/*", "*/42", "/c*/4?", "*heck*out*4*"])]
fn simple_wildcard(bencher: Bencher<'_, '_>, pattern: &str) {
    bencher.bench_local(|| assert!(wildcard_match(black_box(pattern), black_box("/checkout/42"))));
}

/// Patterns of up to 8 kB against a text of 8 kB.
#[divan::bench(args = ["*a…ab", "*a…ab*", "*a*a…*b", "*?…?b", "*a?…a?b*", "*é…éb*"])]
fn slow_wildcard(bencher: Bencher<'_, '_>, kind: &str) {
    let (pattern, text) = match kind {
        "*a…ab" => (format!("*{}b", "a".repeat(4000)), "a".repeat(8000)),
        "*a…ab*" => (format!("*{}b*", "a".repeat(4000)), "a".repeat(8000)),
        "*a*a…*b" => (format!("{}b", "*a".repeat(4000)), "a".repeat(8000)),
        "*?…?b" => (format!("*{}b", "?".repeat(4000)), "a".repeat(8000)),
        "*a?…a?b*" => (format!("*{}b*", "a?".repeat(2000)), "a".repeat(8000)),
        _ => (format!("*{}b*", "\u{e9}".repeat(2000)), "\u{e9}".repeat(4000)),
    };
    bencher.bench_local(|| assert!(!wildcard_match(black_box(&pattern), black_box(&text))));
}

/// So many rules, the last of them about `POST /checkout/*`.
fn rules(count: usize) -> Rules {
    let others = (1..count).map(|n| Rule::new(format!("rule {n}")).http_method("POST").url_path(format!("/api/{n}/*")));
    let checkout = Rule::new("checkout").http_method("POST").url_path("/checkout/*").reservoir(10).fixed_rate(0.5);
    others.chain([checkout]).fold(Rules::builder(), RulesBuilder::rule).build().expect("good rules")
}

/// The same 25 rules.
fn json() -> String {
    let rule = |name: &str, path: &str| {
        format!(
            r#"{{"description": "{name}", "host": "*", "http_method": "POST", "url_path": "{path}", "fixed_target": 10, "rate": 0.5}}"#
        )
    };
    let others = (1..25).map(|n| rule(&format!("rule {n}"), &format!("/api/{n}/*")));
    let rules: Vec<_> = others.chain([rule("checkout", "/checkout/*")]).collect();
    format!(r#"{{"version": 2, "rules": [{}], "default": {{"fixed_target": 1, "rate": 0.05}}}}"#, rules.join(","))
}

fn decide(bencher: Bencher<'_, '_>, rules: Rules, decides: &str, path: &str) {
    decide_by(bencher, &LocalizedStrategy::new(rules), decides, path);
}

fn decide_by(bencher: Bencher<'_, '_>, strategy: &impl SamplingStrategy, decides: &str, path: &str) {
    let request = SamplingRequest::new("shop", NOW, 0.7);
    let request = request.host("shop.example.com").http_method("POST").url_path(path);
    assert_eq!(strategy.decide(&request).rule_name(), Some(decides));
    bencher.bench_local(|| strategy.decide(black_box(&request)));
}
