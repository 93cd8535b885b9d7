//! Many instances under one rule: together they sample what the rule says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tower_xray::sampling::{SamplingRequest, SamplingStrategy};

use super::{
    Instance, START,
    daemon::{Daemon, RULES, Reply},
    named, rule, rules, target, targets,
};

const INSTANCES: usize = 20;
const RESERVOIR: u32 = 100;
const RATE: f64 = 0.05;

/// Random numbers that are the same in every run, and evenly spread.
struct Spread(f64);

impl Spread {
    fn next(&mut self) -> f64 {
        self.0 = (self.0 + 0.618_033_988_749_894_9).fract();
        self.0
    }
}

/// How many requests come to an instance in a second: waves, with bursts and quiet seconds in between, and instances
/// that have more to do than others. Always enough to use up a quota.
fn load(instance: usize, second: u64) -> usize {
    let wave = [8, 12, 30, 9, 60, 8, 15, 100][(second / 7 + instance as u64) as usize % 8];
    if second % 60 < 3 { wave * 5 } else { wave + instance }
}

#[tokio::test]
async fn twenty_instances_under_one_quota_sample_what_the_rule_says_within_two_percent_in_an_hour() {
    let quota = RESERVOIR / INSTANCES as u32;
    let now = Arc::new(Mutex::new(START));
    let clock = now.clone();
    // As X-Ray does: a part of the reservoir for every instance that has reported, for a little longer than until its
    // next report.
    let daemon = Daemon::start(move |call| {
        let ttl = *clock.lock().unwrap() + 25;
        Reply::Json(if call.path == RULES {
            rules([rule("shared", 1, RATE, RESERVOIR, Value::Null)])
        } else {
            let granted = json!({ "ReservoirQuota": quota, "ReservoirQuotaTTL": ttl, "Interval": 10 });
            targets([target("shared", RATE, granted)])
        })
    })
    .await;
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(Instance::ready(&daemon).await);
    }
    let mut due: Vec<Duration> = instances.iter().map(|instance| instance.now() + instance.wait).collect();
    let (mut random, mut requests, mut sampled) = (Spread(0.0), 0_u64, 0_u64);
    for second in 0..3600 {
        *now.lock().unwrap() = START + second;
        for (number, instance) in instances.iter_mut().enumerate() {
            instance.pass(Duration::from_secs(START + second) - instance.now());
            if instance.now() >= due[number] {
                due[number] = instance.now() + instance.poller.step().await;
            }
            for _ in 0..load(number, second) {
                requests += 1;
                sampled += u64::from(instance.decide(random.next()).is_sampled());
            }
        }
    }
    let reservoir = 3600 * u64::from(RESERVOIR);
    let expected = reservoir as f64 + (requests - reservoir) as f64 * RATE;
    let deviation = sampled as f64 / expected - 1.0;
    assert!(deviation.abs() < 0.02, "{sampled} of {requests}, not {expected}: {deviation}");

    // What was reported is what was decided, but for what has come since.
    let mut reported = (0, 0);
    for document in daemon.calls().iter().filter_map(|call| call.body["SamplingStatisticsDocuments"].get(0)) {
        reported.0 += document["RequestCount"].as_u64().unwrap();
        reported.1 += document["SampledCount"].as_u64().unwrap();
    }
    for instance in &mut instances {
        instance.pass(Duration::from_secs(11));
        instance.poller.step().await;
    }
    for document in daemon.calls().iter().filter_map(|call| call.body["SamplingStatisticsDocuments"].get(0)) {
        reported.0 += document["RequestCount"].as_u64().unwrap();
        reported.1 += document["SampledCount"].as_u64().unwrap();
    }
    assert_eq!(reported, (requests, sampled));
}

#[tokio::test]
async fn without_quotas_an_instance_borrows_at_most_one_request_per_second_and_rule() {
    let records = ["a", "b"].map(|name| rule(name, 1, 0.0, 1000, json!({ "URLPath": format!("/{name}") })));
    let daemon = Daemon::with(rules(records), targets([])).await;
    let mut instance = Instance::ready(&daemon).await;
    let mut due = instance.now() + instance.wait;
    for second in 0..600 {
        for part in 0..10 {
            let began = Duration::from_secs(START + second) + Duration::from_millis(100 * part);
            instance.pass(began - instance.now());
            if instance.now() >= due {
                due = instance.now() + instance.poller.step().await;
            }
            for path in ["/a", "/b", "/a"] {
                let request = SamplingRequest::new("shop", instance.now(), 0.0);
                instance.rule_for(request.url_path(path));
            }
        }
    }
    assert_eq!(instance.stats()[1..], ["a 12000/600/600 quota none rate 0", "b 6000/600/600 quota none rate 0"]);
}

/// The time of a request is what it has read, so threads are a few microseconds apart.
#[test]
fn threads_share_a_quota() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let granted = json!({ "ReservoirQuota": 50, "ReservoirQuotaTTL": START + 600 });
    let instance = runtime.block_on(async {
        let records = rules([rule("r1", 1, 0.0, 100, Value::Null)]);
        let daemon = Daemon::with(records, targets([target("r1", 0.0, granted)])).await;
        let mut instance = Instance::ready(&daemon).await;
        instance.decide_all(&[0.5]);
        instance.step().await;
        instance
    });
    instance.pass(Duration::from_secs(1));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| instance.decide_all(&[0.5; 500]));
        }
    });
    assert_eq!(instance.stats()[1], "r1 2001/51/1 quota 50 rate 0");
}

/// Rules are fetched and edited, and reports succeed and fail, while two threads decide.
#[tokio::test]
async fn every_decision_is_reported_once_however_the_poller_is_at_work() {
    let mut calls = 0_u64;
    let daemon = Daemon::start(move |call| {
        calls += 1;
        match (&*call.path, calls % 3) {
            (_, 0) => Reply::Status(500, "", ""),
            (RULES, _) => Reply::Json(rules([rule("r1", calls as u32, calls as f64 / 1e6, 1, Value::Null)])),
            _ => Reply::Json(json!({ "LastRuleModification": START + 10_000 + calls })),
        }
    })
    .await;
    let mut instance = Instance::ready(&daemon).await;
    let deciding: Vec<_> = (0..2)
        .map(|_| {
            let strategy = instance.strategy.clone();
            std::thread::spawn(move || {
                let decide =
                    |n: u64| strategy.decide(&SamplingRequest::new("shop", Duration::from_secs(START + n / 1000), 0.5));
                (0..200_000).filter(|n| decide(*n).is_sampled()).count() as u64
            })
        })
        .collect();
    while !deciding.iter().all(std::thread::JoinHandle::is_finished) {
        instance.step().await;
    }
    let sampled: u64 = deciding.into_iter().map(|thread| thread.join().unwrap()).sum();
    // One of two calls that follow each other succeeds.
    for _ in 0..3 {
        instance.step().await;
    }
    let (mut reported, mut refused) = ((0, 0), 0);
    for (n, call) in daemon.calls().into_iter().enumerate() {
        let document = &call.body["SamplingStatisticsDocuments"][0];
        let counts = (document["RequestCount"].as_u64().unwrap_or(0), document["SampledCount"].as_u64().unwrap_or(0));
        if (n + 1) % 3 == 0 {
            refused += u64::from(counts.0 > 0);
        } else {
            reported = (reported.0 + counts.0, reported.1 + counts.1);
        }
    }
    assert_eq!(reported, (400_000, sampled));
    assert!(refused > 0 && instance.stats()[1].starts_with(&format!("r1 400000/{sampled}/")));
}

#[tokio::test]
async fn a_decision_allocates_nothing() {
    let granted = json!({ "ReservoirQuota": 50, "ReservoirQuotaTTL": START + 600 });
    let daemon = Daemon::with(named(&["a", "b", "c"]), targets([target("c", 0.0, granted)])).await;
    let mut instance = Instance::ready(&daemon).await;
    instance.ask(&["c"]);
    instance.step().await;
    let request = SamplingRequest::new("shop", instance.now(), 0.5).host("shop:80").http_method("GET");
    let allocations = allocation_counter::measure(|| {
        for path in ["/a", "/c", "/none"] {
            let _ = instance.strategy.decide(&request.url_path(path));
        }
    });
    assert_eq!(allocations.count_total, 0);
}
