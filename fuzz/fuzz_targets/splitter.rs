//! A document of any shape in pieces of any size: all are valid, within the limit and linked, and nothing is lost but
//! what is counted or said to be cut.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use tower_xray::{
    SegmentId, Subsegment, TraceId,
    document::{MAX_DOCUMENT, SegmentDocument},
};
use tower_xray_fuzz::{Failure, cut, entities, read_document, read_json, recorder};

/// What it takes to say of an entity who it is, with the longest name of the widest characters.
const ALONE: usize = 1_200;

/// Entities of a run, at most: a byte of input may begin many.
const MOST: usize = 1_000;

#[derive(Debug)]
struct Input {
    limit: usize,
    parts: Vec<Part>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let limit = match input.int_in_range(0..=7)? {
            0 => MAX_DOCUMENT,
            1 => input.int_in_range(0..=ALONE)?,
            _ => input.int_in_range(ALONE..=MAX_DOCUMENT)?,
        };
        Ok(Self { limit, parts: input.arbitrary()? })
    }
}

#[derive(Arbitrary, Debug)]
enum Part {
    Begin(Text),
    Close,
    /// Subsegments that begin and close here.
    Leaves(u8, Text),
    /// Subsegments below each other.
    Levels(u8),
    Annotation(Text, Text),
    Annotations(u8, Text),
    Metadata(Text, Text, u16),
    Entries(u8, Text),
    Links(u8),
    Fault(Vec<Text>),
    User(Text),
    Flags,
}

/// Few bytes that make a long text.
#[derive(Debug)]
struct Text(String);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let piece = *input.choose(&["x", "\"", "\\", "\u{1}", "é", "語", "\u{1f600}", "\n", "ab", ""])?;
        let start: &str = if input.ratio(1, 4)? { input.arbitrary()? } else { "" };
        let times = match input.int_in_range(0..=3)? {
            0 => input.int_in_range(0..=3)?,
            1 | 2 => input.int_in_range(0..=300)?,
            _ => input.int_in_range(0..=2_000)?,
        };
        Ok(Self(start.to_owned() + &piece.repeat(times)))
    }
}

fuzz_target!(|input: Input| {
    let Input { limit, parts } = input;
    let (recorder, emitter) = recorder(|builder| builder.seed(1));
    let segment = recorder.begin_segment("report");
    let mut open: Vec<Subsegment> = Vec::new();
    let mut count = 1;
    for part in parts {
        let entity = open.last().map_or(segment.entity(), |subsegment| subsegment.entity());
        match part {
            Part::Begin(_) | Part::Leaves(..) | Part::Levels(_) if count >= MOST => {}
            Part::Begin(name) => {
                let subsegment = entity.begin_subsegment(&name.0);
                open.push(subsegment);
                count += 1;
            }
            Part::Close => drop(open.pop()),
            Part::Leaves(times, name) => {
                // Some at once, so that they do not leave before the others have closed.
                let leaves: Vec<Subsegment> = (0..times).map(|_| entity.begin_subsegment(&name.0)).collect();
                count += leaves.len();
            }
            Part::Levels(times) => {
                let mut levels = vec![entity.begin_subsegment("level")];
                for _ in 1..times {
                    levels.push(levels[levels.len() - 1].begin_subsegment("level"));
                }
                count += levels.len();
                while levels.pop().is_some() {}
            }
            Part::Annotation(key, value) => entity.add_annotation(&key.0, value.0),
            Part::Annotations(times, value) => {
                (0..times).for_each(|number| entity.add_annotation(&format!("k{number}"), &value.0));
            }
            Part::Metadata(namespace, key, times) => {
                let value = vec!["\u{7f}value"; usize::from(times) % 8_000];
                entity.add_metadata_in(&namespace.0, &key.0, value);
            }
            Part::Entries(times, text) => {
                (0..times).for_each(|number| entity.add_metadata(&format!("{number}"), &text.0));
            }
            Part::Links(times) => {
                for number in 0..times {
                    entity.add_link(TraceId::new(number.into(), 7), "00000000000000aa".parse::<SegmentId>().unwrap());
                }
            }
            Part::Fault(texts) => {
                let texts: Vec<String> = texts.into_iter().map(|text| text.0).collect();
                if let Some(error) = Failure::chain(&texts) {
                    entity.add_fault(&error);
                }
            }
            Part::User(user) => entity.set_user(&user.0),
            Part::Flags => entity.set_throttle(),
        }
    }
    while open.pop().is_some() {}
    segment.close();

    for document in emitter.take() {
        check(document, limit);
    }
});

fn check(document: SegmentDocument, limit: usize) {
    let text = document.to_json();
    let whole = read_json(&text);
    let recorded = entities([&whole]);
    let parent = document.parent_id().map(|id| id.to_string()).unwrap_or_default();
    let split = document.split(limit);
    // Sizes are estimates from above.
    if levels(&whole) <= 40 && text.len() + 130 + 18 * recorded.len() <= limit {
        assert_eq!(split.documents, [text], "what fits stays as it is");
    }
    let pieces: Vec<Value> = split
        .documents
        .iter()
        .map(|piece| {
            assert!(piece.len() <= limit, "{} of {limit} bytes: {piece}", piece.len());
            read_document(piece)
        })
        .collect();
    let sent = entities(&pieces);
    assert_eq!(sent.len() as u64 + split.too_large, recorded.len() as u64, "all have been sent or counted");
    if limit > 8 * ALONE {
        assert_eq!(split.too_large, 0, "whatever fits into a document after cuts");
    }

    // Parents come before their children, unless they have been lost.
    let mut before = BTreeSet::from([parent]);
    for piece in &pieces {
        let parent = piece.get("parent_id").and_then(Value::as_str).unwrap_or_default();
        let lost = recorded.contains_key(parent) && !sent.contains_key(parent);
        assert!(before.contains(parent) || lost, "{parent} is nowhere");
        before.extend(entities([piece]).into_keys());
        assert!(levels(piece) <= 41, "{} levels", levels(piece));
    }
    for (id, own) in &sent {
        compare(&recorded[id], own);
    }
    exceptions(&sent, &recorded);
}

/// What has been sent is what was recorded, but for what is said to be cut.
fn compare(recorded: &Map<String, Value>, sent: &Map<String, Value>) {
    let cut = cut(sent);
    let is_cut = |part: &str| cut.iter().any(|cut| cut == part);
    let already = tower_xray_fuzz::cut(recorded);
    assert!(already.iter().all(|part| is_cut(part)), "a cut is not forgotten");
    let keys: BTreeSet<&String> = recorded.keys().chain(sent.keys()).collect();
    for key in keys {
        let (recorded, sent) = (recorded.get(key), sent.get(key));
        match key.as_str() {
            "annotations" if is_cut("annotations") => assert_part(recorded, sent),
            "metadata" => {
                let namespaces = |value: Option<&Value>| {
                    let mut map = value.and_then(Value::as_object).cloned().unwrap_or_default();
                    map.remove("tower_xray");
                    map
                };
                let (recorded, sent) = (namespaces(recorded), namespaces(sent));
                if !is_cut("metadata") {
                    assert_eq!(recorded, sent);
                }
                for (namespace, entries) in &sent {
                    assert_part(recorded.get(namespace), Some(entries));
                }
            }
            "cause" if is_cut("exceptions") => {
                let ids = |value: Option<&Value>| -> BTreeMap<String, Value> {
                    let list = value.and_then(|cause| cause["exceptions"].as_array()).into_iter().flatten();
                    list.map(|exception| (exception["id"].to_string(), exception.clone())).collect()
                };
                let recorded = ids(recorded);
                assert!(ids(sent).iter().all(|(id, exception)| recorded.get(id) == Some(exception)));
            }
            _ => assert_eq!(recorded, sent, "{key}"),
        }
    }
}

fn assert_part(recorded: Option<&Value>, sent: Option<&Value>) {
    let entries = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let recorded = entries(recorded);
    for (key, value) in entries(sent) {
        assert_eq!(recorded.get(&key), Some(&value), "{key}");
    }
}

/// Where nothing of them has been cut, all exceptions are there that others may refer to.
fn exceptions(sent: &BTreeMap<String, Map<String, Value>>, recorded: &BTreeMap<String, Map<String, Value>>) {
    let ids = |entities: &BTreeMap<String, Map<String, Value>>| -> BTreeSet<String> {
        let lists = entities.values().filter_map(|entity| entity.get("cause")?.get("exceptions")?.as_array());
        lists.flatten().filter_map(|exception| Some(exception["id"].as_str()?.to_owned())).collect()
    };
    let is_cut = |entity: &Map<String, Value>| cut(entity).iter().any(|part| part == "exceptions");
    if sent.len() == recorded.len() && !sent.values().any(is_cut) {
        assert_eq!(ids(sent), ids(recorded));
    }
}

fn levels(entity: &Value) -> usize {
    1 + entity["subsegments"].as_array().into_iter().flatten().map(levels).max().unwrap_or(0)
}
