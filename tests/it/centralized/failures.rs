//! A daemon that fails, in every way: requests are sampled, counts are right, and all is well when it is back.

use serde_json::{Value, json};

use super::{
    Instance, START,
    daemon::{Daemon, RULES, Reply, TARGETS, answers},
    rule, rules, target, targets,
};

const ERROR_TYPES: [&str; 4] = [
    "x-amzn-ErrorType: AccessDeniedException:http://internal.amazon.com/\r\n",
    "x-amzn-ErrorType: MissingAuthenticationTokenException\r\n",
    "x-amzn-ErrorType: UnrecognizedClientException\r\n",
    "",
];

/// Everything that is no answer to either call.
fn failures() -> Vec<Reply> {
    let expired = r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"expired"}"#;
    let forbidden = ERROR_TYPES.map(|header| Reply::Status(403, header, expired));
    let statuses = [
        (400, r#"{"Message":"bad"}"#),
        (429, r#"{"code":"ThrottledException"}"#),
        (500, "<html>"),
        (502, ""),
        (204, ""),
        (301, "{}"),
        (200, ""),
        (200, "{"),
        (200, "[]"),
        (200, "null"),
        (200, "<html>"),
        (200, "\u{feff}{}"),
    ];
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n{\"SamplingRuleRecords\":[";
    // It would be fine if it were not so large.
    let mut fine = rules([rule("large", 1, 0.5, 1, Value::Null)]).to_string();
    fine.push_str(&" ".repeat(10_000_000 - fine.len()));
    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n{fine}");
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{fine}");
    let deep = "[".repeat(100_000);
    let deep = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{deep}");
    let raw = [half, &large, &endless, &deep, "", "\0\0\0", "HTTP/1.1 200 OK\r\nno header\r\n\r\n", "HTTP/1.1 "];
    let statuses = statuses.map(|(status, body)| Reply::Status(status, "", body));
    forbidden.into_iter().chain(statuses).chain(raw.map(|bytes| Reply::Raw(bytes.into()))).collect()
}

fn healthy() -> impl FnMut(&super::daemon::Call) -> Reply + Send + 'static {
    let quota = json!({ "ReservoirQuota": 1, "ReservoirQuotaTTL": START + 100_000 });
    answers(rules([rule("r1", 1, 0.5, 1, Value::Null)]), targets([target("r1", 0.25, quota)]))
}

/// Two requests before the first rules, none of which waits for anything.
fn assert_fallback(instance: &Instance) {
    assert_eq!(instance.decide_all(&[0.9, 0.9]), "S-");
    assert_eq!(instance.stats(), ["Fallback", "fallback 2/1/0 quota 1 rate 0.05"]);
}

async fn assert_rules_within_305_seconds(instance: &mut Instance) {
    let began = instance.now().as_secs();
    while instance.stats()[0].starts_with("Fallback") {
        instance.step().await;
    }
    assert!(instance.now().as_secs() - began <= 305);
    assert_eq!(instance.stats()[1], "r1 0/0/0 quota none rate 0.5");
}

#[tokio::test]
async fn rules_that_cannot_be_fetched_leave_the_fallback_and_arrive_when_they_can() {
    for reply in failures() {
        let failing = reply.clone();
        let daemon = Daemon::start(move |_| failing.clone()).await;
        let mut instance = Instance::new(&daemon);
        instance.step().await;
        assert_fallback(&instance);
        daemon.answer(healthy());
        assert_rules_within_305_seconds(&mut instance).await;
    }
}

#[tokio::test]
async fn an_answer_without_one_good_rule_is_no_answer() {
    for answer in [json!({}), rules([]), json!({ "SamplingRuleRecords": null }), rules([json!(null), json!({})])] {
        let daemon = Daemon::with(rules([rule("r1", 1, 0.5, 1, Value::Null)]), targets([])).await;
        let mut instance = Instance::ready(&daemon).await;
        daemon.answer(answers(answer, targets([])));
        while instance.now().as_secs() < START + 310 {
            instance.step().await;
        }
        assert_eq!(instance.stats()[1], "r1 0/0/0 quota none rate 0.5");
    }
}

#[tokio::test]
async fn a_rule_that_lacks_something_is_left_out_by_itself() {
    let without = |field: &str, value: Value| {
        let mut record = rule("broken", 1, 0.5, 1, Value::Null);
        if value == json!({}) {
            record["SamplingRule"].as_object_mut().unwrap().remove(field);
        } else {
            record["SamplingRule"][field] = value;
        }
        record
    };
    let required = ["RuleName", "Version", "Priority", "FixedRate", "ReservoirSize", "ServiceName"];
    let required = required.into_iter().chain(["ServiceType", "Host", "HTTPMethod", "URLPath"]);
    let broken = required.flat_map(|field| [json!({}), json!(null), json!([7])].map(|value| without(field, value)));
    let odd =
        [without("RuleName", json!("")), without("Version", json!(2)), without("Attributes", json!({ "a": null }))];
    let nothing = [json!({ "SamplingRule": null }), json!(7), json!(null), json!({ "SamplingRule": "x" })];
    let fine = ["Attributes", "ResourceARN", "RuleARN"].into_iter().enumerate().map(|(n, field)| {
        let mut record = without(field, [json!({}), json!(null)][n % 2].clone());
        record["SamplingRule"]["RuleName"] = json!(format!("fine{n}"));
        record["SamplingRule"]["Foo"] = json!({ "unknown": [1] });
        record
    });
    let last = rule("Default", 10_000, 0.05, 1, Value::Null);
    let daemon = Daemon::with(rules(broken.chain(odd).chain(nothing).chain(fine).chain([last])), targets([])).await;
    let names = ["fine0", "fine1", "fine2"].map(|name| format!("{name} 0/0/0 quota none rate 0.5"));
    let stats = Instance::ready(&daemon).await.stats();
    assert_eq!(stats[1..4], names);
    assert_eq!(stats[4..], ["Default 0/0/0 quota none rate 0.05"]);
}

#[tokio::test]
async fn counts_that_could_not_be_reported_are_reported_the_next_time() {
    for reply in failures() {
        let daemon = Daemon::start(healthy()).await;
        let mut instance = Instance::ready(&daemon).await;
        let (failing, mut good) = (reply.clone(), healthy());
        daemon.answer(move |call| if call.path == RULES { good(call) } else { failing.clone() });
        for tick in 1..=3 {
            instance.decide_all(&[0.9, 0.9, 0.4]);
            instance.step().await;
            assert_eq!(instance.stats()[1], format!("r1 {}/{}/{tick} quota none rate 0.5", 3 * tick, 2 * tick));
        }
        daemon.calls();
        daemon.answer(healthy());
        instance.step().await;
        assert_eq!(daemon.reports(), ["r1 9/6/3"], "{reply:?}");
        assert_eq!(instance.decide_all(&[0.9, 0.3, 0.2]), "S-S");
        instance.step().await;
        assert_eq!(daemon.reports(), ["r1 3/2/0"]);
        assert_eq!(instance.stats()[1], "r1 12/8/3 quota 1 rate 0.25");
    }
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_asked_again_soon_then_less_often_and_found_when_it_is_back() {
    let mut daemon = Daemon::start(healthy()).await;
    daemon.stop().await;
    let mut instance = Instance::new(&daemon);
    instance.step().await;
    assert_fallback(&instance);
    instance.step().await;
    daemon.restart().await;
    // After 10 seconds it was not there; the next attempt is 20 seconds later.
    instance.step().await;
    assert!(instance.stats()[0].starts_with("Fallback"));
    while instance.now().as_secs() < START + 30 {
        instance.step().await;
    }
    assert_eq!(instance.stats()[..2], ["Central 0", "r1 0/0/0 quota none rate 0.5"]);

    // And it may go and come while there are rules.
    instance.decide_all(&[0.9, 0.9]);
    daemon.stop().await;
    instance.step().await;
    daemon.restart().await;
    daemon.calls();
    instance.step().await;
    assert_eq!(daemon.reports(), ["r1 2/1/1"]);
}

/// The time of the calls is tokio's: it passes at once while it is paused.
#[tokio::test]
async fn a_daemon_that_does_not_answer_is_given_up_and_asked_again() {
    let daemon = Daemon::start(healthy()).await;
    let mut instance = Instance::ready(&daemon).await;
    instance.decide_all(&[0.9, 0.9]);
    daemon.answer(|_| Reply::Hang);
    let began = std::time::Instant::now();
    let paused = tokio::time::Instant::now();
    tokio::time::pause();
    instance.step().await;
    assert_eq!(paused.elapsed().as_secs(), 3);
    tokio::time::resume();
    assert!(began.elapsed().as_secs_f64() < 3.0);
    daemon.calls();
    daemon.answer(healthy());
    instance.step().await;
    assert_eq!(daemon.reports(), ["r1 2/1/1"]);
    daemon.connections(2, 1).await;
}

#[tokio::test]
async fn a_connection_that_was_closed_in_the_meantime_is_opened_again() {
    let mut daemon = Daemon::start(healthy()).await;
    let mut instance = Instance::ready(&daemon).await;
    daemon.stop().await;
    daemon.restart().await;
    instance.decide_all(&[0.9]);
    daemon.calls();
    instance.step().await;
    assert_eq!(daemon.reports(), ["r1 1/1/1"]);
}

#[tokio::test]
async fn counts_that_x_ray_could_not_take_are_reported_again_and_a_rule_it_does_not_know_has_the_rules_fetched() {
    let daemon = Daemon::start(healthy()).await;
    let mut instance = Instance::ready(&daemon).await;
    let unprocessed = |code: Value| {
        let mut answer = targets([]);
        let document = json!({ "RuleName": "r1", "ErrorCode": code, "Message": "no" });
        answer["UnprocessedStatistics"] = json!([document, null, {}, { "ErrorCode": "500" }]);
        answers(rules([rule("r1", 1, 0.5, 1, Value::Null)]), answer)
    };
    let none = || answers(rules([rule("r1", 1, 0.5, 1, Value::Null)]), targets([]));
    for (code, paths, next) in [
        (json!("500"), vec![TARGETS], "r1 3/2/2"),
        (json!(503), vec![TARGETS], "r1 3/2/2"),
        (json!("200"), vec![TARGETS], "r1 1/1/1"),
        (json!(null), vec![TARGETS], "r1 1/1/1"),
        (json!("400"), vec![TARGETS, RULES], "r1 1/1/1"),
        (json!(404), vec![TARGETS, RULES], "r1 1/1/1"),
    ] {
        instance.decide_all(&[0.9, 0.9]);
        daemon.calls();
        daemon.answer(unprocessed(code.clone()));
        instance.step().await;
        assert_eq!(daemon.paths(), paths, "{code}");
        daemon.answer(none());
        instance.decide_all(&[0.9]);
        instance.step().await;
        assert_eq!(daemon.reports(), [next], "{code}");
    }
}

#[tokio::test]
async fn a_step_that_is_dropped_in_the_middle_loses_nothing() {
    let daemon = Daemon::start(healthy()).await;
    let mut instance = Instance::ready(&daemon).await;
    instance.decide_all(&[0.9, 0.9]);
    instance.pass(instance.wait);
    daemon.answer(|_| Reply::Hang);
    daemon.calls();
    tokio::select! {
        biased;
        _ = instance.poller.step() => panic!("nobody answers"),
        () = async { while daemon.paths().is_empty() { tokio::task::yield_now().await } } => {}
    }
    // Nor does a request wait meanwhile.
    assert_eq!(instance.decide_all(&[0.9]), "S");
    daemon.answer(healthy());
    instance.wait = instance.poller.step().await;
    assert_eq!(daemon.reports(), ["r1 3/2/2"]);
}
