//! Segments of absurd sizes: what arrives is valid, in bounds and linked, and no size costs more than its share.

use std::{error::Error, fmt, net::UdpSocket, time::Duration};

use axum::{Router, routing};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use tower_xray::{
    Recorder, Segment, Subsegment, XRayLayer, document::MAX_DOCUMENT, emitter::InMemoryEmitter, recorder::Stats,
};
use xray_local::LocalDaemon;

use crate::{
    outline::{entities, exceptions, parents, text},
    support::{exchange, get, recorder_with, serve},
    udp::{PATIENCE, flushed, sending_to},
};

/// Everything that `work` has sent to a daemon, without a problem and without a loss.
///
/// Work that sends more than a socket buffer takes has to settle in between.
fn arrived(work: impl FnOnce(Segment, &dyn Fn())) -> (Vec<Value>, Stats) {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    let recorder = sending_to(&daemon.local_addr());
    let settle = || assert!(daemon.wait_for(flushed(&recorder).emitted, PATIENCE));
    work(recorder.begin_segment("report"), &settle);
    settle();
    (documents(&daemon, &recorder), recorder.stats())
}

/// The documents of the only trace.
fn documents(daemon: &LocalDaemon, recorder: &Recorder) -> Vec<Value> {
    let mut problems = daemon.problems();
    // X-Ray indexes so many, and keeps them all.
    problems.retain(|problem| !problem.to_string().contains("annotations; X-Ray indexes 50"));
    assert!(problems.is_empty(), "{problems:?}");
    let documents = daemon.traces().remove(0).documents().to_vec();
    let stats = recorder.stats();
    assert_eq!((documents.len() as u64, stats.dropped.total()), (stats.emitted, 0), "{stats:?}");
    assert!(documents.iter().all(|document| document.to_string().len() <= MAX_DOCUMENT));
    let parents = parents(&documents);
    assert!(parents.values().all(|parent| parent.is_empty() || parents.contains_key(parent)), "{parents:?}");
    documents
}

/// Names of entities, and what they say has been cut from them.
fn cuts(documents: &[Value]) -> Vec<String> {
    let cut =
        |entity: &&Value| entity["metadata"].get("tower_xray").map(|own| format!("{} {}", entity["name"], own["cut"]));
    entities(documents).iter().filter_map(cut).collect()
}

#[test]
fn a_subsegment_of_a_megabyte_is_cut() {
    let (documents, stats) = arrived(|segment, _| {
        let query = segment.begin_subsegment("query");
        for number in 0..20 {
            query.add_metadata(&number.to_string(), "x".repeat(50_000));
        }
    });
    assert_eq!((cuts(&documents), stats.refused), (vec![r#""query" ["metadata"]"#.to_owned()], 0));
    assert_eq!(entities(&documents).len(), 2);
}

#[test]
fn ten_thousand_small_subsegments_are_all_there() {
    let (documents, stats) = arrived(|segment, settle| {
        for number in 0..10_000 {
            segment.begin_subsegment("step").add_annotation("number", number);
            if number % 100 == 0 {
                settle();
            }
        }
    });
    assert_eq!((entities(&documents).len(), cuts(&documents).len(), stats.refused), (10_001, 0, 0));
}

#[test]
fn two_hundred_levels_are_linked_and_an_error_that_passes_them_is_described_once() {
    let error = std::io::Error::other("lost");
    let (documents, _) = arrived(|segment, _| {
        let mut levels = vec![segment.begin_subsegment("level")];
        for _ in 1..200 {
            levels.push(levels[levels.len() - 1].begin_subsegment("level"));
        }
        while let Some(level) = levels.pop() {
            level.add_fault(&error);
        }
    });
    let entities = entities(&documents);
    assert_eq!((entities.len(), cuts(&documents).len()), (201, 0));
    let described: Vec<&Value> = entities.iter().flat_map(|entity| exceptions(entity)).collect();
    let [exception] = &described[..] else { panic!("{described:?}") };
    let referring = entities.iter().filter(|entity| entity["cause"] == exception["id"]);
    assert_eq!(referring.count(), 199);
}

#[test]
fn five_thousand_annotations_and_their_last_values_are_there_as_far_as_they_fit() {
    let (documents, stats) = arrived(|segment, _| {
        for round in 0..2 {
            for number in 0..5_000 {
                let key = if round == 0 { "key" } else { "KEY" };
                segment.add_annotation(&format!("{key}_{number}"), round);
                if number % 500 == 0 {
                    segment.begin_subsegment("step").close();
                }
            }
        }
    });
    assert_eq!((cuts(&documents), stats.refused), (vec![r#""report" ["annotations"]"#.to_owned()], 0));
    let report = documents.iter().find(|document| text(document, "name") == "report").unwrap();
    let kept = report["annotations"].as_object().unwrap();
    assert!(kept.len() > 3_500 && kept.values().all(|value| *value == 1), "{}", kept.len());
}

/// A link of a chain of errors.
#[derive(Debug)]
struct Link(u32, Option<Box<Self>>);

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, "x".repeat(5_000))
    }
}

impl Error for Link {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

#[test]
fn a_chain_of_a_thousand_exceptions_keeps_its_ends_and_says_how_many_it_has_skipped() {
    let mut error = Link(999, None);
    for number in (0..999).rev() {
        error = Link(number, Some(Box::new(error)));
    }
    let (documents, _) = arrived(|segment, _| segment.add_fault(&error));
    let chain: Vec<&Value> = exceptions(&documents[0]).collect();
    let skipped: u64 = chain.iter().filter_map(|exception| exception["skipped"].as_u64()).sum();
    assert_eq!(chain.len() as u64 + skipped, 1_000);
    assert!(text(chain[0], "message").starts_with("0x") && text(chain[chain.len() - 1], "message").starts_with("999x"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_of_sixty_kilobytes_is_cut() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    let recorder = sending_to(&daemon.local_addr());
    let app = Router::new().fallback(routing::get(async || "ok")).layer(XRayLayer::new("shop", recorder.clone()));
    let response = exchange(serve(app).await, &get(&format!("/{}", "p".repeat(60_000)))).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert_eq!(recorder.flush(PATIENCE).await, 0);
    assert!(daemon.wait_for(1, PATIENCE));
    let documents = documents(&daemon, &recorder);
    assert_eq!(text(&documents[0]["http"]["request"], "url").len(), 250);
}

#[test]
fn ten_megabytes_of_metadata_are_refused_counted_and_told() {
    let (documents, stats) = arrived(|segment, _| {
        segment.add_metadata("text", "x".repeat(10 << 20));
        segment.add_metadata("list", vec!["x"; 1 << 20]);
        segment.add_metadata("small", 1);
    });
    assert_eq!((cuts(&documents), stats.refused), (vec![r#""report" ["metadata"]"#.to_owned()], 2));
    assert_eq!(documents[0]["metadata"]["default"]["small"], 1);
}

#[test]
fn what_is_said_of_a_cut_has_a_namespace_of_its_own() {
    let emitter = InMemoryEmitter::new();
    let (recorder, _) = recorder_with(|builder| builder.emitter(emitter.clone()));
    let segment = recorder.begin_segment("report");
    segment.add_metadata_in("tower_xray", "cut", "mine");
    segment.add_metadata("large", "x".repeat(100_000));
    segment.close();
    let json = emitter.take().remove(0).to_json();
    assert_eq!(json.matches(r#""tower_xray":"#).count(), 1, "{json}");
    let metadata = &serde_json::from_str::<Value>(&json).unwrap()["metadata"];
    assert_eq!(metadata.to_string(), r#"{"tower_xray":{"cut":["metadata"]},"tower_xray_":{"cut":"mine"}}"#);
}

/// A segment in which something is done `n` times.
type Work = fn(Segment, usize);

const WORK: &[(&str, Work)] = &[
    ("annotations", |segment, n| {
        for number in 0..n {
            segment.add_annotation(&format!("key_{number}"), number);
        }
    }),
    ("annotations of two in turn", |segment, n| {
        let query = segment.begin_subsegment("query");
        for number in 0..n / 2 {
            query.add_annotation(&format!("key_{number}"), number);
            segment.add_annotation(&format!("key_{number}"), number);
        }
    }),
    ("one annotation", |segment, n| {
        for number in 0..n {
            segment.add_annotation("key", number);
        }
    }),
    ("annotations beside subsegments that come and go", |segment, n| {
        for number in 0..n {
            segment.add_annotation(&format!("key_{number}"), number);
            segment.begin_subsegment("step").close();
        }
    }),
    ("metadata", |segment, n| {
        for number in 0..n {
            segment.add_metadata(&format!("key_{number}"), number);
        }
    }),
    ("namespaces of metadata", |segment, n| {
        for number in 0..n {
            segment.add_metadata_in(&format!("namespace_{number}"), "key", number);
        }
    }),
    ("one metadata", |segment, n| {
        for _ in 0..n {
            segment.add_metadata("key", "x".repeat(1_000));
        }
    }),
    ("links", |segment, n| {
        let (trace_id, id) = (segment.trace_id().unwrap(), segment.id().unwrap());
        for _ in 0..n {
            segment.add_link(trace_id, id);
        }
    }),
    ("errors", |segment, n| {
        for number in 0..n {
            segment.add_error(&std::io::Error::other(number.to_string()));
        }
    }),
    ("errors of children that are open", |segment, n| {
        let mut children = Vec::new();
        for number in 0..n {
            let child = segment.begin_subsegment("child");
            let error = std::io::Error::other(number.to_string());
            child.add_error(&error);
            segment.add_error(&error);
            children.push(child);
        }
    }),
    ("errors of grandchildren", |segment, n| {
        let mut children = Vec::new();
        for number in 0..n {
            let child = segment.begin_subsegment("child");
            let error = std::io::Error::other(number.to_string());
            child.begin_subsegment("grandchild").add_error(&error);
            child.add_error(&error);
            segment.add_error(&error);
            children.push(child);
        }
    }),
    ("one error through levels", |segment, n| {
        let error = std::io::Error::other("lost");
        let mut levels = vec![segment.begin_subsegment("level")];
        for _ in 1..n {
            levels.push(levels[levels.len() - 1].begin_subsegment("level"));
        }
        while let Some(level) = levels.pop() {
            level.add_error(&error);
        }
    }),
    ("subsegments one after the other", |segment, n| {
        for _ in 0..n {
            segment.begin_subsegment("step").close();
        }
    }),
    ("subsegments at once", |segment, n| {
        let steps: Vec<Subsegment> = (0..n).map(|_| segment.begin_subsegment("step")).collect();
        drop(steps);
    }),
    ("subsegments at once that outlive the segment", |segment, n| {
        let steps: Vec<Subsegment> = (0..n).map(|_| segment.begin_subsegment("step")).collect();
        segment.close();
        drop(steps);
    }),
    ("subsegments that come and go beside others", |segment, n| {
        let _others: Vec<Subsegment> = (0..n).map(|_| segment.begin_subsegment("step")).collect();
        for _ in 0..n {
            segment.begin_subsegment("step").close();
        }
    }),
    ("levels", |segment, n| {
        let mut levels = vec![segment.begin_subsegment("level")];
        for _ in 1..n {
            levels.push(levels[levels.len() - 1].begin_subsegment("level"));
        }
        levels.into_iter().rev().for_each(Subsegment::close);
    }),
    ("levels from the top", |segment, n| {
        let mut levels = vec![segment.begin_subsegment("level")];
        for _ in 1..n {
            levels.push(levels[levels.len() - 1].begin_subsegment("level"));
        }
        levels.into_iter().for_each(Subsegment::close);
    }),
];

#[test]
fn nothing_costs_more_than_its_share() {
    const SMALL: usize = 1_000;
    const FACTOR: usize = 8;
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let recorder = sending_to(&receiver.local_addr().unwrap());
    let best = |work: Work, n: usize| {
        let runs = (0..2).map(|_| {
            let segment = recorder.begin_segment("report");
            let began = worked();
            work(segment, n);
            worked() - began
        });
        runs.min().unwrap().as_secs_f64()
    };
    for (name, work) in WORK {
        let growth = best(*work, FACTOR * SMALL) / best(*work, SMALL);
        // If the work grew with the square, it would take 64 times as long.
        assert!(growth < 24.0, "{name}: {FACTOR} times as much takes {growth:.1} times as long");
    }
}

/// The time that this thread has worked: other threads do not count.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
