//! Sampling by the rules of X-Ray: what is decided, when the daemon is asked, and what happens if it does not answer.

mod boost;
mod daemon;
mod decision;
mod failures;
mod polling;
mod running;
mod sharing;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tower_xray::sampling::{
    CentralizedStrategy, Decision, RuleStats, SamplingRequest, SamplingSource, SamplingStats, SamplingStrategy,
    centralized::{CentralizedBuilder, Poller},
};

use self::daemon::Daemon;

/// When every test begins, in seconds since the epoch.
const START: u64 = 1_500_000_000;

/// A record with a rule that is about everything; `fields` go before that.
fn rule(name: &str, priority: u32, rate: f64, reservoir: u32, fields: Value) -> Value {
    let mut rule = json!({
        "RuleName": name, "RuleARN": format!("arn:aws:xray:eu-central-1:111122223333:sampling-rule/{name}"),
        "ResourceARN": "*", "Priority": priority, "FixedRate": rate, "ReservoirSize": reservoir, "ServiceName": "*",
        "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": "*", "Version": 1, "Attributes": {},
    });
    merge(&mut rule, fields);
    json!({ "SamplingRule": rule, "CreatedAt": 0.0, "ModifiedAt": 1.4e9 })
}

fn rules(records: impl IntoIterator<Item = Value>) -> Value {
    json!({ "SamplingRuleRecords": records.into_iter().collect::<Vec<_>>(), "NextToken": null })
}

/// Rules that borrow nothing and sample half, each of them about paths that begin with its name.
fn named(names: &[&str]) -> Value {
    rules(names.iter().map(|name| rule(name, 1, 0.5, 0, json!({ "URLPath": format!("/{name}*") }))))
}

/// A target with this rate; `fields` are added.
fn target(name: &str, rate: f64, fields: Value) -> Value {
    let mut target = json!({ "RuleName": name, "FixedRate": rate });
    merge(&mut target, fields);
    target
}

fn targets(documents: impl IntoIterator<Item = Value>) -> Value {
    json!({
        "SamplingTargetDocuments": documents.into_iter().collect::<Vec<_>>(), "LastRuleModification": 1.4e9,
        "UnprocessedStatistics": [], "UnprocessedBoostStatistics": [],
    })
}

fn merge(value: &mut Value, fields: Value) {
    if let Value::Object(fields) = fields {
        value.as_object_mut().unwrap().extend(fields);
    }
}

/// A process that is sampled, with a clock of its own.
struct Instance {
    strategy: Arc<CentralizedStrategy>,
    poller: Poller,
    now: Arc<Mutex<Duration>>,
    wait: Duration,
}

impl Instance {
    fn new(daemon: &Daemon) -> Self {
        Self::adjusted(daemon, |builder| builder)
    }

    fn adjusted(daemon: &Daemon, adjust: impl FnOnce(CentralizedBuilder) -> CentralizedBuilder) -> Self {
        let now = Arc::new(Mutex::new(Duration::from_secs(START)));
        let clock = now.clone();
        let builder = CentralizedStrategy::builder(daemon.address()).clock(move || *clock.lock().unwrap()).seed(7);
        let (strategy, poller) = adjust(builder).pair();
        Self { strategy: Arc::new(strategy), poller, now, wait: Duration::ZERO }
    }

    /// An instance that has the rules.
    async fn ready(daemon: &Daemon) -> Self {
        let mut instance = Self::new(daemon);
        instance.step().await;
        assert_eq!(instance.strategy.stats().source, SamplingSource::Central);
        instance
    }

    /// Waits as long as the poller says, and lets it do what is due.
    async fn step(&mut self) {
        self.pass(self.wait);
        self.wait = self.poller.step().await;
    }

    fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn now(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    fn decide(&self, random: f64) -> Decision {
        self.strategy.decide(&SamplingRequest::new("shop", self.now(), random))
    }

    /// Asks as often as there are numbers; one letter for each decision: `S`ampled or not.
    fn decide_all(&self, randoms: &[f64]) -> String {
        randoms.iter().map(|random| if self.decide(*random).is_sampled() { 'S' } else { '-' }).collect()
    }

    /// Asks once about every rule of [`named`].
    fn ask(&self, names: &[&str]) {
        for name in names {
            let path = format!("/{name}");
            let request = SamplingRequest::new("shop", self.now(), 0.5).url_path(&path);
            assert_eq!(self.rule_for(request), *name);
        }
    }

    /// The rule that decides about a request.
    fn rule_for(&self, request: SamplingRequest<'_>) -> String {
        self.strategy.decide(&request).rule_name().unwrap_or("none").to_owned()
    }

    /// What was decided, rule by rule, in the order in which they are tried.
    fn stats(&self) -> Vec<String> {
        lines(&self.strategy.stats())
    }
}

/// Where the rules come from, and one line for each of them, without the fallback that has decided nothing.
fn lines(stats: &SamplingStats) -> Vec<String> {
    let age = stats.age.map(|age| format!(" {}", age.as_secs())).unwrap_or_default();
    let rule = |rule: &RuleStats| {
        let quota = rule.quota.map_or("none".to_owned(), |quota| quota.to_string());
        let RuleStats { name, requests, sampled, borrowed, rate, .. } = rule;
        format!("{name} {requests}/{sampled}/{borrowed} quota {quota} rate {rate}")
    };
    let decided = stats.rules.iter().filter(|rule| *rule.name != *"fallback" || rule.requests > 0);
    [format!("{:?}{age}", stats.source)].into_iter().chain(decided.map(rule)).collect()
}
