//! Pollers that run by themselves: when they begin, and when they end.

use std::time::Duration;

use serde_json::json;
use tower_xray::sampling::{CentralizedStrategy, LocalizedStrategy, SamplingSource};

use super::{
    daemon::{Daemon, RULES},
    lines, named, rule, rules, targets,
};
use crate::support::recorder_with;

#[tokio::test]
async fn a_recorder_fetches_rules_after_its_first_decision_and_ends_that_when_it_is_gone() {
    let daemon =
        Daemon::with(rules([rule("r1", 1, 1.0, 0, json!({ "ServiceType": "AWS::EC2::*" }))]), targets([])).await;
    for (round, shutdown) in [(1, false), (2, true)] {
        let address = daemon.address().to_string();
        let (recorder, documents) = recorder_with(|builder| {
            let builder = builder.environment(move |name| (name == "AWS_XRAY_DAEMON_ADDRESS").then(|| address.clone()));
            builder.origin("AWS::EC2::Instance").centralized_sampling()
        });
        tokio::task::yield_now().await;
        assert_eq!(daemon.paths(), [""; 0]);
        recorder.begin_segment("worker").close();
        assert_eq!(documents.take_one().sampling_rule_name(), None);

        daemon.connections(round, 1).await;
        let central = async {
            while recorder.stats().sampling.source != SamplingSource::Central {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), central).await.expect("rules within 20 seconds");
        recorder.begin_segment("worker").close();
        assert_eq!(documents.take_one().sampling_rule_name(), Some("r1"));
        assert_eq!(daemon.paths(), [RULES]);
        let stats = lines(&recorder.stats().sampling);
        assert_eq!(stats[1..], ["r1 1/1/0 quota none rate 1", "fallback 1/1/0 quota 1 rate 0.05"]);

        if shutdown {
            recorder.shutdown(Duration::ZERO).await;
            daemon.connections(round, 0).await;
        }
        drop(recorder);
        daemon.connections(round, 0).await;
    }
}

#[tokio::test]
async fn a_recorder_without_daemon_or_with_another_strategy_is_not_held_up() {
    let mut daemon = Daemon::with(named(&["a"]), targets([])).await;
    daemon.stop().await;
    let address = daemon.address();
    let (recorder, _documents) = recorder_with(|builder| builder.daemon_address(address).centralized_sampling());
    (0..100).for_each(|_| recorder.begin_segment("worker").close());
    let stats = recorder.stats();
    assert_eq!((stats.opened, stats.sampling.source), (100, SamplingSource::Fallback));
    assert_eq!(stats.sampling.rules[0].requests, 100);

    let local = LocalizedStrategy::default();
    let (recorder, _documents) = recorder_with(|builder| builder.centralized_sampling().sampling(local));
    assert_eq!(recorder.stats().sampling.source, SamplingSource::Local);
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_runs_by_itself_ends_with_its_strategy() {
    let mut daemon = Daemon::with(named(&["a"]), targets([])).await;
    daemon.stop().await;
    let (strategy, poller) = CentralizedStrategy::pair(daemon.address());
    let running = tokio::spawn(poller.run());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!running.is_finished());
    drop(strategy);
    running.await.unwrap();
}
