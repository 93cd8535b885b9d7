//! The JSON of documents: every field, every escape, every number.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    Recorder, XRayClientLayer, XRayLayer, capture, current,
    document::{Namespace, SegmentDocument},
    sampling::{Decision, SamplingRequest, SamplingStrategy},
};
use xray_local::check_document;

use crate::support::{Documents, assert_valid_json, recorder, recorder_with};

/// Records everything by a rule of this name.
struct ByRule(&'static str);

impl SamplingStrategy for ByRule {
    fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
        Decision::new(true).by_rule(self.0)
    }
}

/// Each look at the clock is 1.001 milliseconds after the one before.
fn repeatable() -> (Recorder, Documents) {
    let looks = AtomicU64::new(0);
    let clock = move || Duration::from_micros(1_755_443_396_104_201 + 1_001 * looks.fetch_add(1, Relaxed));
    recorder_with(|builder| {
        let builder = builder.clock(clock).seed(7).sampling(ByRule("checkout"));
        builder.origin("AWS::ECS::Fargate").service_version("2.7.0")
    })
}

/// What an order costs: a call that is answered, and one that fails.
async fn place_order(_: Request<String>) -> Result<Response<String>, Infallible> {
    let entity = current();
    entity.add_annotation("tier", "gold");
    entity.add_annotation("total", 129.5);
    entity.add_annotation("items", 3);
    entity.add_annotation("express", true);
    entity.add_metadata("cart", json!({ "lines": [{ "sku": "A-1", "count": 3 }], "note": null }));
    entity.add_metadata_in("store", "shelf", "north");
    entity.set_user("u-1");
    entity.add_link("1-68a1f0c4-000000000000000000000001".parse().unwrap(), "00000000000000a1".parse().unwrap());
    let stock = XRayClientLayer::new().layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::builder().header("content-length", 2).body("ok".to_owned()).unwrap())
    }));
    let call = Request::get("http://stock.internal:8080/levels/A-1?token=s").body(String::new()).unwrap();
    stock.oneshot(call).await.unwrap().into_body().collect().await.unwrap();
    let table = entity.begin_subsegment("orders-table");
    table.set_namespace(Namespace::Aws);
    table.set_throttle();
    table.close();
    let charge = capture("charge card", async { "4x2".parse::<u32>() });
    let error = charge.await.unwrap_err();
    entity.add_fault(&error);
    let mut response = Response::new("no receipt".to_owned());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    Ok(response)
}

/// Drops the white space between the tokens of a JSON text.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let kept = in_string || !c.is_ascii_whitespace();
        in_string ^= *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        kept
    };
    json.chars().filter(keep).collect()
}

#[tokio::test]
async fn a_full_document_is_written_as_agreed() {
    let (recorder, documents) = repeatable();
    let service = XRayLayer::new("orders", recorder).layer(service_fn(place_order));
    let request = Request::post("http://shop.test/orders?id=7")
        .header("x-amzn-trace-id", "Root=1-68a1f0c4-7b3e9d215f80a6c4e2b71d09;Parent=9f2c4b7a1e5d3086")
        .header("x-forwarded-for", "203.0.113.9, 10.0.0.1")
        .header("user-agent", "curl/8.5.0")
        .body("{}".to_owned());
    service.oneshot(request.unwrap()).await.unwrap().into_body().collect().await.unwrap();

    let written = documents.take_one().to_json();
    // These depend on who compiles the crate, and where it runs.
    let value: Value = serde_json::from_str(&written).unwrap();
    let mut told = written;
    for (key, pointer) in [
        ("runtime_version", "/service/runtime_version"),
        ("sdk_version", "/aws/xray/sdk_version"),
        ("working_directory", "/subsegments/2/cause/working_directory"),
    ] {
        let here = value.pointer(pointer).unwrap();
        assert!(!here.as_str().unwrap().is_empty());
        told = told.replace(&format!("\"{key}\":{here}"), &format!("\"{key}\":\"*\""));
    }
    let expected = compact(include_str!("../fixtures/document.json"));
    assert_eq!(told, expected, "\n{told}");
}

#[test]
fn the_same_seed_and_clock_make_the_same_document() {
    let written = || {
        let (recorder, documents) = repeatable();
        let segment = recorder.begin_segment("report");
        segment.add_fault(&std::fmt::Error);
        segment.begin_subsegment("query").close();
        segment.close();
        documents.take_one().to_json()
    };
    assert_eq!(written(), written());
}

#[test]
fn times_have_six_decimals() {
    for (micros, text) in [
        (1_755_443_396_104_201, "1755443396.104201"),
        (1_755_443_396_000_000, "1755443396.000000"),
        (1_755_443_396_000_001, "1755443396.000001"),
        (999_999, "0.999999"),
        (0, "0.000000"),
        (9_999_999_999_999_999, "9999999999.999999"),
    ] {
        let (recorder, documents) = recorder_with(|builder| builder.clock(move || Duration::from_micros(micros)));
        recorder.begin_segment("report").close();
        let written = documents.take_one().to_json();
        assert!(written.contains(&format!(r#""start_time":{text:>17},"end_time":{text:>17},"#)), "{written}");
    }
}

/// Everything that JSON has to escape, and its neighbours.
fn awkward() -> String {
    let controls = ('\0'..='\u{a0}').collect::<String>();
    controls + "\"\\/\u{2028}\u{2029}\u{d7ff}\u{e000}\u{feff}\u{fffd}\u{ffff}\u{10000}\u{10ffff}💥ü\u{301}"
}

#[test]
fn every_character_survives() {
    let awkward = awkward();
    let (recorder, documents) =
        recorder_with(|builder| builder.origin(awkward.clone()).service_version(awkward.clone()));
    let segment = recorder.begin_segment("report");
    segment.add_annotation("text", &awkward);
    segment.add_metadata_in(&awkward, &awkward, BTreeMap::from([(&awkward, &awkward)]));
    segment.set_user(&awkward);
    segment.add_fault(&std::io::Error::other(awkward.clone()));
    segment.close();
    let document = documents.take_one();
    let written = document.to_json();
    let read: Value = serde_json::from_str(&written).unwrap();
    for pointer in ["/origin", "/service/version", "/user", "/annotations/text", "/cause/exceptions/0/message"] {
        assert_eq!(read.pointer(pointer), Some(&json!(awkward)), "{pointer}");
    }
    let metadata = json!({ &awkward: { &awkward: { &awkward: &awkward } } });
    assert_eq!(read["metadata"], metadata);
    assert!(!written.bytes().any(|byte| byte < b' '), "one line, whatever is in it");
    assert_eq!(document.metadata(&awkward, &awkward), Some(json!({ &awkward: &awkward })));
    assert_eq!(document.annotation("text"), Some(awkward.as_str().into()));
    assert_eq!(document.to_string(), written);
}

/// What the outside may say.
#[derive(Clone, Debug)]
struct Said {
    names: [String; 3],
    annotations: Vec<(String, String)>,
    numbers: Vec<(String, f64)>,
    integers: Vec<(String, i128)>,
    metadata: Vec<(String, String, String)>,
    user: String,
    messages: [String; 2],
}

fn said() -> impl Strategy<Value = Said> {
    // Characters of every kind, and lengths around the limits of names and messages.
    let text = |len: std::ops::Range<usize>| vec(any::<char>(), len).prop_map(String::from_iter);
    let short = || text(0..20);
    (
        [text(0..5), text(0..20), text(190..210)],
        vec((short(), short()), 0..12),
        vec((short(), any::<f64>()), 0..6),
        vec((short(), any::<i128>()), 0..6),
        vec((short(), short(), short()), 0..6),
        text(240..260),
        [short(), text(990..1_010)],
    )
        .prop_map(|(names, annotations, numbers, integers, metadata, user, messages)| Said {
            names,
            annotations,
            numbers,
            integers,
            metadata,
            user,
            messages,
        })
}

fn record(said: &Said) -> (Vec<SegmentDocument>, u64) {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment(&said.names[0]);
    let query = segment.begin_subsegment(&said.names[1]);
    let parse = query.begin_subsegment(&said.names[2]);
    for (key, value) in &said.annotations {
        query.add_annotation(key, value);
    }
    for (key, value) in &said.numbers {
        segment.add_annotation(key, *value);
    }
    for (key, value) in &said.integers {
        parse.add_annotation(key, *value);
    }
    for (namespace, key, value) in &said.metadata {
        query.add_metadata_in(namespace, key, value);
        parse.add_metadata(key, (namespace, BTreeMap::from([(key, value)])));
    }
    query.set_user(&said.user);
    query.add_fault(&std::io::Error::other(said.messages[0].clone()));
    segment.add_error(&std::io::Error::other(said.messages[1].clone()));
    let late = parse.begin_subsegment(&said.user);
    drop((parse, query, segment));
    late.close();
    // Which are checked.
    (documents.take(), recorder.stats().refused)
}

proptest! {
    #[test]
    fn whatever_is_said_the_document_is_valid_and_tells_it(said in said()) {
        let (documents, refused) = record(&said);
        prop_assert_eq!(documents.len(), 2);
        prop_assert_eq!(refused, said.numbers.iter().filter(|(_, value)| !value.is_finite()).count() as u64);
        let document: Value = serde_json::from_str(&documents[0].to_json()).unwrap();
        let cut = |text: &str, max| text.chars().take(max).collect::<String>();
        prop_assert_eq!(document["user"].as_str().unwrap_or_default(), cut(&said.user, 250));
        let message = &document["cause"]["exceptions"][0]["message"];
        // What looks like a URL may lose a part.
        if !said.messages[1].contains("://") {
            prop_assert_eq!(message.as_str().unwrap_or_default(), cut(&said.messages[1], 1_000));
        }
        let query = &document["subsegments"][0];
        // The last value that was said about a key.
        if let Some((namespace, key, value)) = said.metadata.last() {
            let read = |entity: &Value, namespace: &str| entity["metadata"][namespace].as_object().unwrap().iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(key)).unwrap().1.clone();
            let reserved = namespace.replacen("AWS.", "AWS_", usize::from(namespace.starts_with("AWS.")));
            prop_assert_eq!(read(query, &reserved), json!(value));
            prop_assert_eq!(read(&query["subsegments"][0], "default"), json!([namespace, { key: value }]));
        }
        for (key, value) in &said.annotations {
            let repaired = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !key.is_empty();
            let alone = said.annotations.iter().filter(|(other, _)| other.eq_ignore_ascii_case(key)).count() == 1;
            if repaired && alone && said.annotations.iter().all(|(other, _)| other.is_ascii()) {
                prop_assert_eq!(&query["annotations"][key], &json!(value));
            }
        }
    }

    #[test]
    fn numbers_are_read_back_as_they_were(float in any::<f64>(), integer in any::<i64>()) {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("report");
        segment.add_annotation("float", float);
        segment.add_annotation("integer", integer);
        segment.add_metadata("integer", integer);
        segment.close();
        let written = documents.take_one().to_json();
        let read = assert_valid_json(&written);
        // Read by the standard library, since this parser rounds a little.
        let text = written.split_once("\"float\":").and_then(|(_, rest)| rest.split([',', '}']).next());
        prop_assert_eq!(text.map(str::parse::<f64>), float.is_finite().then_some(Ok(float)));
        let safe = integer.unsigned_abs() <= 1 << 53;
        let expected = if safe { json!(integer) } else { json!(integer.to_string()) };
        prop_assert_eq!(&read["annotations"]["integer"], &expected);
        prop_assert_eq!(&read["metadata"]["default"]["integer"], &json!(integer));
    }
}

#[test]
fn the_checker_that_these_tests_rely_on_finds_what_is_wrong() {
    let (recorder, documents) = recorder();
    recorder.begin_segment("report").close();
    let mut read: Value = serde_json::from_str(&documents.take_one().to_json()).unwrap();
    assert_eq!(check_document(&read), []);
    read["name"] = json!("a?");
    assert_eq!(check_document(&read).len(), 1);
}
