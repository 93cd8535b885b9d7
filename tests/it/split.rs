//! Documents of any size in pieces of a bounded one: nothing is lost but what is counted or said to be cut.

use std::{collections::HashMap, error::Error, fmt};

use http::{Request, Response};
use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    FutureExt, Segment, Subsegment, XRayClientLayer,
    document::{MAX_DOCUMENT, SegmentDocument},
    emitter::InMemoryEmitter,
};
use xray_local::check_document;

use crate::{
    outline::{entities, exceptions, outline_json, parents, text},
    support::recorder_with,
};

/// The documents of one segment in which `work` happens, however large.
fn documents(work: impl FnOnce(Segment)) -> Vec<SegmentDocument> {
    let emitter = InMemoryEmitter::new();
    let (recorder, _) = recorder_with(|builder| builder.emitter(emitter.clone()));
    work(recorder.begin_segment("report"));
    emitter.take()
}

/// The only one.
fn document(work: impl FnOnce(Segment)) -> SegmentDocument {
    let mut documents = documents(work);
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// The pieces of a document: all valid, within the limit, and with every entity below its parent.
fn pieces(document: SegmentDocument, max_bytes: usize) -> Vec<Value> {
    let recorded = recorded(&document);
    let split = document.split(max_bytes);
    assert_eq!(split.too_large, 0);
    let pieces: Vec<Value> = split.documents.iter().map(|piece| valid(piece, max_bytes)).collect();
    let sent = parents(&pieces).into_iter().map(|(id, parent)| (id.to_owned(), parent.to_owned()));
    assert_eq!(sent.collect::<HashMap<_, _>>(), recorded);
    pieces
}

/// A piece that X-Ray takes.
fn valid(piece: &str, max_bytes: usize) -> Value {
    assert!(piece.len() <= max_bytes, "{} bytes: {piece}", piece.len());
    let value = serde_json::from_str(piece).unwrap();
    let mut problems = check_document(&value);
    // X-Ray indexes so many, and keeps them all.
    problems.retain(|problem| !problem.to_string().contains("annotations; X-Ray indexes 50"));
    assert_eq!(problems, [], "{piece}");
    value
}

/// The ids of every entity of a document, each with that of its parent.
fn recorded(document: &SegmentDocument) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut pending = vec![(document.root(), document.parent_id())];
    while let Some((entity, parent)) = pending.pop() {
        found.insert(entity.id().to_string(), parent.map(|id| id.to_string()).unwrap_or_default());
        pending.extend(entity.subsegments().map(|child| (child, Some(entity.id()))));
    }
    found
}

/// What an entity says has been cut from it.
fn cut(entity: &Value) -> Vec<&str> {
    entity["metadata"]["tower_xray"]["cut"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn what_is_within_the_limit_stays_as_it_is() {
    let whole = document(|segment| drop(segment.begin_subsegment("query")));
    let written = whole.to_json();
    assert_eq!(whole.split(MAX_DOCUMENT).documents, [written]);
}

#[test]
fn the_largest_subtrees_leave_first() {
    let whole = document(|segment| {
        for (name, bytes) in [("small", 10), ("large", 30_000), ("middle", 20_000)] {
            let step = segment.begin_subsegment(name);
            step.add_metadata("m", "x".repeat(bytes));
            step.begin_subsegment("below").close();
        }
        segment.add_metadata("m", "x".repeat(1_000));
    });
    let pieces = pieces(whole, 40_000);
    assert_eq!(outline_json(&pieces), ["report(small(below) middle(below))", "large(below) < report"]);
    assert!(entities(&pieces).into_iter().all(|entity| cut(entity).is_empty()));
}

#[test]
fn ten_thousand_subsegments_that_were_open_at_once_are_all_sent() {
    let documents = documents(|segment| {
        let steps: Vec<Subsegment> = (0..10_000).map(|_| segment.begin_subsegment("step")).collect();
        drop(steps);
    });
    let mut sent = 0;
    for document in documents {
        sent += parents(&pieces(document, MAX_DOCUMENT)).len();
    }
    assert_eq!(sent, 10_001);
}

#[test]
fn ten_thousand_subsegments_one_after_the_other_are_all_sent() {
    let documents = documents(|segment| {
        for _ in 0..10_000 {
            segment.begin_subsegment("step").close();
        }
    });
    let mut sent = 0;
    for document in documents {
        sent += parents(&pieces(document, MAX_DOCUMENT)).len();
    }
    assert_eq!(sent, 10_001);
}

#[test]
fn a_megabyte_of_metadata_is_cut_down_to_the_smallest_and_says_so() {
    let documents = documents(|segment| {
        let query = segment.begin_subsegment("query");
        for number in 0..40_usize {
            query.add_metadata(&number.to_string(), "x".repeat(1_000 * (1 + number)));
        }
        query.add_annotation("rows", 7);
        query.close();
    });
    let pieces: Vec<Value> = documents.into_iter().flat_map(|document| pieces(document, MAX_DOCUMENT)).collect();
    assert_eq!(outline_json(&pieces), ["query < report", "report"]);
    let query = &pieces[0];
    assert_eq!((cut(query), &query["annotations"]["rows"]), (vec!["metadata"], &7.into()));
    let mut kept: Vec<usize> =
        query["metadata"]["default"].as_object().unwrap().keys().map(|key| key.parse().unwrap()).collect();
    // 1,000 + 2,000 + … + 10,000 bytes, and one more would not fit.
    kept.sort_unstable();
    assert_eq!(kept, (0..10).collect::<Vec<_>>());
}

#[test]
fn two_hundred_levels_are_linked_pieces() {
    for close_from_the_top in [false, true] {
        let documents = documents(|segment| {
            let mut levels = vec![segment.begin_subsegment("0")];
            for depth in 1..200 {
                levels.push(levels[depth - 1].begin_subsegment(&depth.to_string()));
            }
            if close_from_the_top {
                // The last one stays open, so that the tree stays together.
                let last = levels.pop();
                levels.into_iter().for_each(Subsegment::close);
                drop(last);
            } else {
                levels.into_iter().rev().for_each(Subsegment::close);
            }
            drop(segment);
        });
        let mut sent = 0;
        for document in documents {
            sent += parents(&pieces(document, MAX_DOCUMENT)).len();
        }
        assert_eq!(sent, 201);
    }
}

#[test]
fn thousands_of_short_annotations_are_cut_only_as_far_as_needed() {
    let whole = document(|segment| {
        for number in 0..7_000 {
            segment.add_annotation(&format!("k{number}"), number % 10);
        }
    });
    let pieces = pieces(whole, MAX_DOCUMENT);
    let kept = pieces[0]["annotations"].as_object().unwrap().len();
    assert_eq!(cut(&pieces[0]), ["annotations"]);
    assert!((4_000..7_000).contains(&kept), "{kept}");
}

#[test]
fn a_segment_has_as_many_links_as_x_ray_takes() {
    let whole = document(|segment| {
        for number in 1..=2_000 {
            segment.add_link(segment.trace_id().unwrap(), format!("{number:016x}").parse().unwrap());
        }
    });
    let pieces = pieces(whole, MAX_DOCUMENT);
    assert_eq!(cut(&pieces[0]), ["links"]);
    assert_eq!(pieces[0]["links"].as_array().unwrap().len(), 20);
    assert_eq!(pieces[0]["links"][19]["id"], "0000000000000014");
}

/// A link of a chain of errors, each with a long text.
#[derive(Debug)]
struct Long(&'static str, u32);

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.1, self.0.repeat(1_000))
    }
}

impl Error for Long {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // A thousand of them need no memory of their own.
        static CHAIN: [Long; 1_000] = {
            let mut chain = [const { Long("\u{1}", 0) }; 1_000];
            let mut number = 0;
            while number < 1_000 {
                chain[number as usize] = Long("\u{1}", number);
                number += 1;
            }
            chain
        };
        CHAIN.get(self.1 as usize + 1).map(|source| source as _)
    }
}

#[test]
fn a_chain_of_a_thousand_long_errors_is_cut_and_says_so() {
    let whole = document(|segment| {
        segment.add_metadata("m", "x".repeat(5_000));
        segment.add_annotation("a", 1);
        segment.add_fault(&Long("\u{1}", 0));
    });
    let pieces = pieces(whole, MAX_DOCUMENT);
    assert_eq!(cut(&pieces[0]), ["metadata", "annotations", "exceptions"]);
    assert!(exceptions(&pieces[0]).count() >= 5);
    assert_eq!(pieces[0]["fault"], true);
}

#[tokio::test]
async fn a_url_of_sixty_kilobytes_is_cut() {
    let emitter = InMemoryEmitter::new();
    let (recorder, _) = recorder_with(|builder| builder.emitter(emitter.clone()));
    let segment = recorder.begin_segment(&"n".repeat(60_000));
    let client = XRayClientLayer::new()
        .layer(service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::new()))));
    let request = Request::get(format!("http://stock.test/{}", "p".repeat(60_000))).body(()).unwrap();
    drop(async { client.oneshot(request).await }.in_entity(&segment).await);
    segment.begin_subsegment(&"s".repeat(60_000)).close();
    segment.close();
    let pieces = pieces(emitter.take().remove(0), 4_096);
    assert_eq!(pieces.len(), 1);
    let url = text(&pieces[0]["subsegments"][0]["http"]["request"], "url");
    assert_eq!(url, format!("http://stock.test/{}", "p".repeat(232)));
}

#[test]
fn what_cannot_fit_is_counted_and_costs_nothing_else() {
    let whole = || {
        document(|segment| {
            let query = segment.begin_subsegment(&"💥".repeat(200));
            query.begin_subsegment("below").close();
            segment.begin_subsegment("other").close();
        })
    };
    // The segment itself has more to say than that.
    let split = whole().split(300);
    assert_eq!(split.too_large, 2, "{split:?}");
    let pieces: Vec<Value> = split.documents.iter().map(|piece| valid(piece, 300)).collect();
    assert_eq!(outline_json(&pieces), ["below < nobody", "other < nobody"]);
    let nothing = whole().split(0);
    assert_eq!((nothing.too_large, nothing.documents.len()), (4, 0));
}

/// A part of a random segment: the number of its parent, and what is said about it.
#[derive(Clone, Debug)]
struct Part {
    parent: usize,
    metadata: Vec<usize>,
    annotations: usize,
    failed: bool,
}

fn part() -> impl Strategy<Value = Part> {
    let few = prop_oneof![9 => 0..3_usize, 1 => 0..200_usize];
    (any::<usize>(), vec(prop_oneof![4 => 0..100_usize, 1 => 0..9_000_usize], 0..4), few, any::<bool>())
        .prop_map(|(parent, metadata, annotations, failed)| Part { parent, metadata, annotations, failed })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_document_splits_into_valid_linked_pieces(parts in vec(part(), 1..60), max_bytes in 2_000..MAX_DOCUMENT) {
        let documents = documents(|segment| {
            let mut below: Vec<Subsegment> = Vec::new();
            for part in &parts {
                let entity = match part.parent % (below.len() + 1) {
                    0 => segment.begin_subsegment("first"),
                    parent => below[parent - 1].begin_subsegment("below"),
                };
                for (key, bytes) in part.metadata.iter().enumerate() {
                    entity.add_metadata(&key.to_string(), "\"".repeat(*bytes));
                }
                for key in 0..part.annotations {
                    entity.add_annotation(&key.to_string(), "ü".repeat(key));
                    entity.add_aws(&key.to_string(), "\u{1}".repeat(key));
                }
                if part.failed {
                    entity.add_fault(&Long("ü", 990));
                }
                below.push(entity);
            }
            below.into_iter().rev().for_each(Subsegment::close);
        });
        let mut sent = 0;
        for document in documents {
            sent += parents(&pieces(document, max_bytes)).len();
        }
        prop_assert_eq!(sent, parts.len() + 1);
    }
}
