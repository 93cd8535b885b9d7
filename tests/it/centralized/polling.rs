//! When the daemon is asked, what it is told, and what becomes of its answers.

use std::time::Duration;

use serde_json::{Value, json};
use tower_xray::sampling::{SamplingSource, SamplingStrategy};

use super::{
    Instance, START,
    daemon::{Daemon, RULES, Reply, TARGETS, answers},
    named, rule, rules, target, targets,
};

#[tokio::test]
async fn calls_are_posted_as_json_with_no_other_headers_and_no_edits_of_the_statistics() {
    let daemon = Daemon::with(rules([rule("r1", 1, 0.5, 5, Value::Null)]), targets([])).await;
    let mut instance = Instance::ready(&daemon).await;
    instance.decide_all(&[0.9, 0.9, 0.4, 0.6]);
    instance.step().await;
    let host = daemon.address().tcp().to_string();
    let client_id = |body: &Value| body["SamplingStatisticsDocuments"][0]["ClientID"].as_str().unwrap().to_owned();
    let [first, second] = &daemon.calls()[..] else { panic!("two calls") };
    let id = client_id(&second.body);
    assert!(id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    for (call, path, body) in [
        (first, RULES, json!({})),
        (
            second,
            TARGETS,
            json!({ "SamplingStatisticsDocuments": [{
                "RuleName": "r1", "ClientID": id, "Timestamp": START + 10,
                "RequestCount": 4, "SampledCount": 2, "BorrowCount": 1,
            }] }),
        ),
    ] {
        let length = body.to_string().len().to_string();
        let headers = [
            ("accept", "application/json"),
            ("content-length", &length),
            ("content-type", "application/json"),
            ("host", &host),
        ];
        assert_eq!(call.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!((&*call.path, &call.body, call.connection), (path, &body, 1));
    }

    // Every strategy of the process has the same id.
    let mut other = Instance::ready(&daemon).await;
    other.decide_all(&[0.9]);
    other.step().await;
    assert_eq!(client_id(&daemon.calls()[1].body), id);
}

#[tokio::test]
async fn in_an_hour_rules_are_fetched_every_300_and_targets_every_10_seconds_with_jitter_on_one_connection() {
    let daemon = Daemon::with(rules([rule("r1", 1, 0.5, 5, Value::Null)]), targets([])).await;
    let mut instance = Instance::new(&daemon);
    let mut times: [Vec<f64>; 2] = Default::default();
    while instance.now().as_secs() < START + 3600 {
        instance.step().await;
        instance.decide_all(&[0.9]);
        for call in daemon.calls() {
            assert_eq!(call.connection, 1);
            times[usize::from(call.path == TARGETS)].push(instance.now().as_secs_f64());
        }
    }
    for (times, shortest, jitter, counts) in [(&times[0], 300.0, 5.0, 12..=13), (&times[1], 10.0, 0.1, 356..=360)] {
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0] - shortest).collect();
        assert!(gaps.iter().all(|gap| (-1e-6..=jitter + 1e-6).contains(gap)), "{gaps:?}");
        assert!(gaps.iter().any(|gap| *gap < jitter / 3.0) && gaps.iter().any(|gap| *gap > jitter / 1.5), "{gaps:?}");
        assert!(counts.contains(&times.len()), "{}", times.len());
    }
}

#[tokio::test]
async fn a_rule_that_was_not_asked_has_nothing_to_report() {
    let daemon = Daemon::with(named(&["a", "b"]), targets([])).await;
    let mut instance = Instance::ready(&daemon).await;
    instance.step().await;
    assert_eq!(daemon.paths(), [RULES]);
    instance.ask(&["b", "b", "b"]);
    instance.step().await;
    assert_eq!(daemon.reports(), ["b 3/0/0"]);
    instance.step().await;
    assert_eq!(daemon.paths(), [""; 0]);
    assert_eq!(instance.stats()[1..], ["a 0/0/0 quota none rate 0.5", "b 3/0/0 quota none rate 0.5"]);
}

#[tokio::test]
async fn a_rule_reports_as_often_as_its_target_says() {
    let interval = |name, seconds: u64| target(name, 0.5, json!({ "Interval": seconds }));
    let daemon = Daemon::with(named(&["a", "b", "c"]), targets([interval("a", 20), interval("b", 30)])).await;
    let mut instance = Instance::ready(&daemon).await;
    let mut reports = Vec::new();
    for _ in 0..7 {
        instance.ask(&["a", "b", "c"]);
        instance.step().await;
        reports.push(daemon.reports().join(", "));
    }
    assert_eq!(
        reports,
        [
            "a 1/0/0, b 1/0/0, c 1/0/0",
            "c 1/0/0",
            "a 2/0/0, c 1/0/0",
            "b 3/0/0, c 1/0/0",
            "a 2/0/0, c 1/0/0",
            "c 1/0/0",
            "a 2/0/0, b 3/0/0, c 1/0/0",
        ]
    );
}

#[tokio::test]
async fn targets_change_what_they_name_and_leave_the_rest() {
    let daemon = Daemon::with(
        named(&["a", "b", "c", "d"]),
        targets([
            target("a", 0.07, json!({ "ReservoirQuota": 3, "ReservoirQuotaTTL": START + 60, "Unknown": [1] })),
            target("gone", 0.9, json!({ "ReservoirQuota": 3, "ReservoirQuotaTTL": START + 60 })),
            json!({ "RuleName": "b", "ReservoirQuota": 9, "ReservoirQuotaTTL": START + 60 }),
            json!(null),
            json!({ "FixedRate": 0.3 }),
            target("c", 6.0, json!({ "ReservoirQuota": null, "ReservoirQuotaTTL": null, "Interval": null })),
            target("d", 0.11, json!({ "ReservoirQuota": 15, "ReservoirQuotaTTL": START + 60, "SamplingBoost": null })),
        ]),
    )
    .await;
    let mut instance = Instance::ready(&daemon).await;
    instance.ask(&["a", "b", "c", "d"]);
    instance.step().await;
    let stats = ["a 1/0/0 quota 3 rate 0.07", "b 1/0/0 quota none rate 0.5", "c 1/0/0 quota none rate 1"];
    assert_eq!(instance.stats()[1..4], stats);
    assert_eq!(instance.stats()[4..], ["d 1/0/0 quota 15 rate 0.11"]);

    daemon.answer(answers(named(&["a", "b", "c", "d"]), targets([target("a", 0.08, Value::Null)])));
    instance.ask(&["a"]);
    instance.step().await;
    assert_eq!(instance.stats()[1], "a 2/1/0 quota 3 rate 0.08");
}

#[tokio::test]
async fn more_than_25_rules_are_reported_in_several_calls() {
    let names: Vec<String> = (0..60).map(|n| format!("rule{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let daemon = Daemon::with(named(&names), targets([])).await;
    let mut instance = Instance::ready(&daemon).await;
    instance.ask(&names);
    instance.step().await;
    let calls = daemon.calls();
    let sizes = calls[1..].iter().map(|call| call.body["SamplingStatisticsDocuments"].as_array().unwrap().len());
    assert_eq!(sizes.collect::<Vec<_>>(), [25, 25, 10]);
}

/// Pages of one rule each, of which the last is followed by this token.
fn pages(count: usize, last: Value) -> impl FnMut(&super::daemon::Call) -> Reply {
    move |call| {
        let page = call.body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let name = format!("p{page}");
        let next = if page + 1 < count { json!((page + 1).to_string()) } else { last.clone() };
        let mut answer = rules([rule(&name, 1, 0.5, 0, Value::Null)]);
        answer["NextToken"] = next;
        Reply::Json(answer)
    }
}

#[tokio::test]
async fn all_pages_of_rules_are_fetched_and_loops_and_endless_ones_come_to_an_end() {
    for (count, last, calls) in [
        (1, json!(null), 1),
        (3, json!(null), 3),
        (3, json!(""), 3),
        (1, json!("0"), 2),
        (3, json!("0"), 4),
        (3, json!("2"), 3),
        (1000, json!(null), 50),
    ] {
        let daemon = Daemon::start(pages(count, last.clone())).await;
        let instance = Instance::ready(&daemon).await;
        assert_eq!(daemon.paths().len(), calls, "{count} {last}");
        assert_eq!(instance.stats().len() - 1, calls.min(count), "{count} {last}");
    }
}

#[tokio::test]
async fn an_edit_of_the_rules_is_fetched_once_and_not_more_often_than_every_10_seconds() {
    let edited = |seconds: u64| {
        let mut answer = targets([]);
        answer["LastRuleModification"] = json!(seconds as f64);
        answers(named(&["a"]), answer)
    };
    let daemon = Daemon::start(edited(START - 1)).await;
    let mut instance = Instance::ready(&daemon).await;
    let mut fetches = Vec::new();
    // Before the fetch, in its second, the same three times, later, the same, and at a time to come, the same.
    for seconds in [START - 1, START, START, START, START + 45, START + 45, u64::MAX, u64::MAX, START - 1] {
        daemon.answer(edited(seconds));
        instance.ask(&["a"]);
        instance.step().await;
        fetches.push(daemon.paths().iter().filter(|path| *path == RULES).count());
    }
    // The first one is that of the start.
    assert_eq!(fetches, [1, 1, 0, 0, 1, 0, 1, 0, 0]);

    // A new value every time is one fetch every 10 seconds.
    let mut now = START + 10_000;
    daemon.answer(move |call| {
        now += 1;
        if call.path == RULES { Reply::Json(named(&["a"])) } else { edited(now)(call) }
    });
    for _ in 0..5 {
        instance.ask(&["a"]);
        instance.step().await;
        assert_eq!(daemon.paths(), [TARGETS, RULES]);
    }

    // A fetch that was due anyway counts, too.
    let mut now = START + 20_000;
    daemon.answer(edited(START - 1));
    while daemon.paths() != [RULES] {
        instance.step().await;
    }
    daemon.answer(move |call| {
        now += 1;
        edited(now)(call)
    });
    for paths in [&[TARGETS][..], &[TARGETS, RULES]] {
        instance.ask(&["a"]);
        instance.step().await;
        assert_eq!(daemon.paths(), paths);
    }
}

#[tokio::test]
async fn a_rule_keeps_its_counts_and_quota_when_it_is_edited_and_goes_when_it_is_gone() {
    let quota = json!({ "ReservoirQuota": 2, "ReservoirQuotaTTL": START + 4000, "Interval": 1000 });
    let granted = targets(["a", "b", "c"].map(|name| target(name, 0.25, quota.clone())));
    let daemon = Daemon::with(named(&["a", "b", "c"]), granted.clone()).await;
    let mut instance = Instance::ready(&daemon).await;
    instance.ask(&["a", "b", "c"]);
    instance.step().await;
    instance.ask(&["a", "b"]);

    let edited = rules([
        rule("b", 1, 0.75, 7, json!({ "URLPath": "/b*" })),
        rule("a", 2, 0.5, 0, json!({ "URLPath": "/a*", "Host": "*" })),
    ]);
    daemon.answer(answers(edited, granted));
    daemon.calls();
    while daemon.paths() != [RULES] {
        instance.step().await;
    }
    assert_eq!(instance.stats(), ["Central 0", "b 2/1/0 quota 2 rate 0.75", "a 2/1/0 quota 2 rate 0.25"]);
    while instance.now().as_secs() < START + 1030 {
        instance.step().await;
    }
    assert_eq!(daemon.reports(), ["b 1/1/0", "a 1/1/0"]);
}

#[tokio::test]
async fn rules_that_could_not_be_fetched_for_an_hour_give_way_to_the_fallback_until_they_can() {
    let daemon = Daemon::with(rules([rule("r1", 1, 0.0, 0, Value::Null)]), targets([])).await;
    let mut instance = Instance::ready(&daemon).await;
    daemon.answer(|_| Reply::Status(503, "", ""));
    while instance.now().as_secs() + 310 < START + 3600 {
        instance.step().await;
    }
    let until = |seconds| Duration::from_secs(START + seconds);
    instance.pass(until(3600) - instance.now());
    assert_eq!((instance.decide_all(&[0.9]), &*instance.stats()[0]), ("-".to_owned(), "Central 3600"));
    instance.pass(until(3601) - instance.now());
    assert_eq!((instance.decide_all(&[0.9, 0.9]), &*instance.stats()[0]), ("S-".to_owned(), "Fallback"));

    daemon.answer(answers(rules([rule("r1", 1, 0.0, 0, Value::Null)]), targets([])));
    for _ in 0..31 {
        instance.step().await;
    }
    assert_eq!(instance.strategy.stats().source, SamplingSource::Central);
    assert_eq!(instance.stats()[1..], ["r1 1/0/0 quota none rate 0", "fallback 2/1/0 quota 1 rate 0.05"]);
}
