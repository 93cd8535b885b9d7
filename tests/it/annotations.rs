//! What is said about entities: annotations, metadata, users, links; what is repaired, what is refused and counted.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::{Value, json};
use tower_xray::{Recorder, Segment, SegmentId, TraceId, document::Namespace, emitter::InMemoryEmitter};

use crate::support::{recorder, recorder_with};

/// What the document of a segment says after `say`, and how much was refused.
fn told(say: impl FnOnce(&Segment)) -> (Value, u64) {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("report");
    say(&segment);
    segment.close();
    let document = documents.take_one();
    (serde_json::from_str(&document.to_json()).unwrap(), recorder.stats().refused)
}

mod values {
    use super::*;

    #[test]
    fn every_integer_type_is_a_number_up_to_what_a_float_holds() {
        let (document, refused) = told(|segment| {
            segment.add_annotation("i8", i8::MIN);
            segment.add_annotation("i16", i16::MIN);
            segment.add_annotation("i32", i32::MIN);
            segment.add_annotation("i64", -(1_i64 << 53));
            segment.add_annotation("i64_far", i64::MIN);
            segment.add_annotation("i128", 7_i128);
            segment.add_annotation("i128_far", i128::MIN);
            segment.add_annotation("isize", -7_isize);
            segment.add_annotation("u8", u8::MAX);
            segment.add_annotation("u16", u16::MAX);
            segment.add_annotation("u32", u32::MAX);
            segment.add_annotation("u64", 1_u64 << 53);
            segment.add_annotation("u64_far", (1_u64 << 53) + 1);
            segment.add_annotation("u128", 7_u128);
            segment.add_annotation("u128_far", u128::MAX);
            segment.add_annotation("usize", 7_usize);
        });
        let expected = json!({
            "i8": -128, "i16": -32_768, "i32": -2_147_483_648_i64, "i64": -9_007_199_254_740_992_i64,
            "i64_far": "-9223372036854775808", "i128": 7, "i128_far": "-170141183460469231731687303715884105728",
            "isize": -7, "u8": 255, "u16": 65_535, "u32": 4_294_967_295_u32, "u64": 9_007_199_254_740_992_u64,
            "u64_far": "9007199254740993", "u128": 7, "u128_far": "340282366920938463463374607431768211455",
            "usize": 7,
        });
        assert_eq!((&document["annotations"], refused), (&expected, 0));
    }

    #[test]
    fn floats_keep_their_shortest_text() {
        let (document, refused) = told(|segment| {
            segment.add_annotation("tenth", 0.1_f32);
            segment.add_annotation("tenth_64", 0.1);
            segment.add_annotation("whole", 5.0);
            segment.add_annotation("tiny", f64::MIN_POSITIVE);
            segment.add_annotation("huge", f64::MAX);
        });
        let expected =
            json!({ "tenth": 0.1, "tenth_64": 0.1, "whole": 5.0, "tiny": f64::MIN_POSITIVE, "huge": f64::MAX });
        assert_eq!((&document["annotations"], refused), (&expected, 0));
    }

    #[test]
    fn floats_that_are_not_finite_are_refused_and_counted() {
        let (document, refused) = told(|segment| {
            segment.add_annotation("kept", 1);
            for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                segment.add_annotation("odd", odd);
                segment.add_annotation("odd_32", odd as f32);
                segment.add_annotation("kept", odd);
            }
        });
        assert_eq!((&document["annotations"], refused), (&json!({ "kept": 1 }), 9));
    }

    #[test]
    fn every_kind_of_text_converts() {
        let (document, _) = told(|segment| {
            let owned = "owned".to_owned();
            segment.add_annotation("reference", &owned);
            segment.add_annotation("owned", owned);
            segment.add_annotation("borrowed", Cow::Borrowed("cow"));
            segment.add_annotation("str", "str");
            segment.add_annotation("empty", "");
            segment.add_annotation("bool", true);
        });
        let expected = json!({
            "reference": "owned", "owned": "owned", "borrowed": "cow", "str": "str", "empty": "", "bool": true,
        });
        assert_eq!(document["annotations"], expected);
    }

    #[test]
    fn keys_are_repaired_and_cut() {
        let long = "k".repeat(600);
        let (document, refused) = told(|segment| {
            segment.add_annotation("order.id", 1);
            segment.add_annotation("größe", 2);
            segment.add_annotation("", 3);
            segment.add_annotation("a\"b\\c\n", 4);
            segment.add_annotation(&long, 5);
        });
        let expected = json!({ "order_id": 1, "gr__e": 2, "_": 3, "a_b_c_": 4, &long[..500]: 5 });
        assert_eq!((&document["annotations"], refused), (&expected, 0));
    }

    #[test]
    fn values_are_cut_at_a_character() {
        let (document, refused) = told(|segment| {
            segment.add_annotation("ascii", "x".repeat(1_001));
            segment.add_annotation("wide", "💥".repeat(1_001));
            segment.add_annotation("fits", "é".repeat(1_000));
        });
        let expected = json!({ "ascii": "x".repeat(1_000), "wide": "💥".repeat(1_000), "fits": "é".repeat(1_000) });
        assert_eq!((&document["annotations"], refused), (&expected, 0));
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one_whatever_the_case_of_its_key() {
        let (document, _) = told(|segment| {
            segment.add_annotation("tier", "gold");
            segment.add_annotation("other", 1);
            segment.add_annotation("tier", 2);
            segment.add_annotation("TIER", true);
        });
        // The collector compares keys without their case.
        assert_eq!(document["annotations"], json!({ "tier": true, "other": 1 }));
    }

    #[test]
    fn each_entity_has_its_own() {
        let (document, _) = told(|segment| {
            let query = segment.begin_subsegment("query");
            segment.add_annotation("a", 1);
            query.add_annotation("a", 2);
            segment.add_annotation("b", 3);
            query.add_annotation("b", 4);
        });
        assert_eq!(document["annotations"], json!({ "a": 1, "b": 3 }));
        assert_eq!(document["subsegments"][0]["annotations"], json!({ "a": 2, "b": 4 }));
    }

    #[test]
    fn thousands_are_kept() {
        // Not checked: X-Ray indexes 50 of them.
        let emitter = InMemoryEmitter::new();
        let (recorder, _) = recorder_with(|builder| builder.emitter(emitter.clone()));
        let segment = recorder.begin_segment("report");
        for number in 0..5_000 {
            segment.add_annotation(&format!("k{number}"), number);
        }
        segment.close();
        let document = emitter.take().remove(0);
        let json: Value = serde_json::from_str(&document.to_json()).unwrap();
        let expected: BTreeMap<_, _> = (0..5_000).map(|number| (format!("k{number}"), number)).collect();
        assert_eq!(json["annotations"], json!(expected));
    }
}

mod metadata {
    use super::*;

    #[derive(Serialize)]
    struct Cart {
        items: Vec<&'static str>,
        total: Option<f64>,
    }

    struct Broken;

    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("broken"))
        }
    }

    /// So many arrays, one in the other.
    struct Nested(usize);

    impl Serialize for Nested {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                0 => serializer.collect_seq::<[u8; 0]>([]),
                depth => serializer.collect_seq([Self(depth - 1)]),
            }
        }
    }

    /// Says something itself while it is serialized.
    struct Talkative<'a>(&'a Segment);

    impl Serialize for Talkative<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.add_annotation("said", true);
            self.0.begin_subsegment("inner").close();
            serializer.serialize_u8(7)
        }
    }

    #[test]
    fn any_value_that_can_be_json_is_kept_in_its_namespace() {
        let (document, refused) = told(|segment| {
            segment.add_metadata("cart", Cart { items: vec!["a", "\"b\"\n"], total: None });
            segment.add_metadata("count", 7);
            segment.add_metadata_in("store", "count", u64::MAX);
            segment.add_metadata_in("store", "", [f64::NAN, 0.5]);
            segment.add_metadata_in("", "key", ());
            segment.add_metadata_in("AWS.sdk", "key", "reserved");
            segment.add_metadata("count", 8);
        });
        let expected = json!({
            "default": { "cart": { "items": ["a", "\"b\"\n"], "total": null }, "count": 8 },
            "store": { "count": u64::MAX, "": [null, 0.5] },
            "": { "key": null },
            "AWS_sdk": { "key": "reserved" },
        });
        assert_eq!((&document["metadata"], refused), (&expected, 0));
    }

    #[test]
    fn what_cannot_be_json_is_refused_and_counted() {
        let (document, refused) = told(|segment| {
            segment.add_metadata("kept", 1);
            segment.add_metadata("broken", Broken);
            segment.add_metadata("half", (1, Broken));
            segment.add_metadata("keys", BTreeMap::from([((1, 2), 3)]));
        });
        assert_eq!((&document["metadata"], refused), (&json!({ "default": { "kept": 1 } }), 3));
    }

    #[test]
    fn what_is_larger_than_a_document_is_refused_counted_and_told() {
        let (document, refused) = told(|segment| {
            segment.add_metadata("megabytes", "x".repeat(10 << 20));
            segment.add_metadata("escaped", "\u{1}".repeat(12_000));
            segment.add_metadata("fits", "x".repeat(50_000));
        });
        assert_eq!(refused, 2);
        let expected = json!({ "default": { "fits": "x".repeat(50_000) }, "tower_xray": { "cut": ["metadata"] } });
        assert_eq!(document["metadata"], expected);
    }

    #[test]
    fn what_was_cut_is_told_apart_from_metadata_in_a_namespace_of_the_same_name() {
        let (document, refused) = told(|segment| {
            segment.add_metadata_in("tower_xray", "cut", "paper");
            segment.add_metadata("megabytes", "x".repeat(1 << 20));
        });
        assert_eq!(refused, 1);
        let expected = json!({ "tower_xray": { "cut": ["metadata"] }, "tower_xray_": { "cut": "paper" } });
        assert_eq!(document["metadata"], expected);
    }

    #[test]
    fn what_no_parser_would_follow_is_refused_and_counted() {
        let (recorder, documents) = recorder();
        let segment = recorder.begin_segment("report");
        let mut deepest = vec![segment.begin_subsegment("0")];
        for depth in 1..40 {
            deepest.push(deepest[depth - 1].begin_subsegment(&depth.to_string()));
        }
        let last = deepest.last().unwrap();
        last.add_metadata("kept", Nested(30));
        last.add_metadata("brackets", "[{".repeat(200));
        last.add_metadata("quotes", "\\\"[".repeat(200));
        assert_eq!(recorder.stats().refused, 0);
        last.add_metadata("deep", Nested(60));
        last.add_metadata("deeper", Nested(1_000));
        assert_eq!(recorder.stats().refused, 2);
        drop(deepest);
        drop(segment);
        // Which checks that it can be parsed.
        documents.take_one();
    }

    #[test]
    fn serializing_may_talk_about_the_same_segment() {
        let (document, refused) = told(|segment| segment.add_metadata("talkative", Talkative(segment)));
        assert_eq!(refused, 0);
        assert_eq!(document["annotations"], json!({ "said": true }));
        assert_eq!(document["metadata"], json!({ "default": { "talkative": 7 } }));
        assert_eq!(document["subsegments"][0]["name"], "inner");
    }

    #[test]
    fn a_panic_while_serializing_leaves_the_segment_as_it_was() {
        struct Panics;

        impl Serialize for Panics {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                panic!("no")
            }
        }

        let (document, _) = told(|segment| {
            let add = std::panic::AssertUnwindSafe(|| segment.add_metadata("m", Panics));
            assert!(std::panic::catch_unwind(add).is_err(), "the caller's own");
            segment.add_metadata("after", 1);
        });
        assert_eq!(document["metadata"], json!({ "default": { "after": 1 } }));
    }
}

mod the_rest {
    use super::*;

    #[test]
    fn the_user_is_the_segments_wherever_it_is_set() {
        let (document, _) = told(|segment| {
            segment.begin_subsegment("query").set_user(&"ü".repeat(251));
        });
        assert_eq!(document["user"], "ü".repeat(250));
        assert_eq!(document["subsegments"][0].get("user"), None);
    }

    #[test]
    fn flags_are_written_only_when_they_are_set() {
        let (document, _) = told(|segment| {
            segment.set_throttle();
            let query = segment.begin_subsegment("query");
            query.set_namespace(Namespace::Aws);
            query.set_fault();
            let other = segment.begin_subsegment("other");
            other.set_namespace(Namespace::Remote);
            other.set_error();
        });
        let flags = |entity: &Value| ["error", "fault", "throttle", "namespace"].map(|flag| entity[flag].clone());
        assert_eq!(flags(&document), [json!(true), Value::Null, json!(true), Value::Null]);
        assert_eq!(flags(&document["subsegments"][0]), [Value::Null, json!(true), Value::Null, json!("aws")]);
        assert_eq!(flags(&document["subsegments"][1]), [json!(true), Value::Null, Value::Null, json!("remote")]);
    }

    #[test]
    fn links_name_the_senders() {
        let trace_id: TraceId = "1-5759e988-bd862e3fe1be46a994272793".parse().unwrap();
        let id: SegmentId = "53995c3f42cd8ad8".parse().unwrap();
        let (document, _) = told(|segment| {
            segment.add_link(trace_id, id);
            segment.add_link(trace_id, id);
        });
        let link = json!({ "trace_id": trace_id.to_string(), "id": id.to_string() });
        assert_eq!(document["links"], json!([link]));
    }

    #[test]
    fn names_are_repaired_and_cut() {
        let (recorder, documents) = recorder();
        let name_of = |recorder: &Recorder, name: &str| {
            let segment = recorder.begin_segment(name);
            segment.begin_subsegment(name).close();
            segment.close();
            let document = documents.take_one();
            (document.name().to_owned(), document.subsegments().next().unwrap().name().to_owned())
        };
        for (name, segment, subsegment) in [
            ("shop?api", "shop_api", "shop_api"),
            ("", "unknown", "unknown"),
            ("???", "unknown", "___"),
            ("a\tb💥c", "a_b_c", "a_b_c"),
            ("db@host:5432/#1 ü注", "db@host:5432/#1 ü注", "db@host:5432/#1 ü注"),
            (&"é".repeat(300), &"é".repeat(200), &"é".repeat(200)),
        ] {
            assert_eq!(name_of(&recorder, name), (segment.to_owned(), subsegment.to_owned()), "{name:?}");
        }
    }
}
