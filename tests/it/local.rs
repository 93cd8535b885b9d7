//! The local daemon: what it accepts, what it refuses and why, and how it draws a trace.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tower_xray::local::{LocalDaemon, RenderOptions, Severity, Trace, check_datagram, check_document};

const HEADER: &str = r#"{"format":"json","version":1}"#;
const PATIENCE: Duration = Duration::from_secs(10);

fn trace_id(number: usize) -> String {
    format!("1-68a1f0c4-{number:024x}")
}

fn id(number: usize) -> String {
    format!("{number:016x}")
}

/// A segment that nobody has anything to say about.
fn segment() -> Value {
    json!({
        "name": "orders",
        "id": id(1),
        "trace_id": trace_id(1),
        "start_time": 1_755_443_396.1,
        "end_time": 1_755_443_396.5,
        "http": {
            "request": { "method": "GET", "url": "http://localhost/orders/42", "client_ip": "10.0.0.1", "x_forwarded_for": true },
            "response": { "status": 200, "content_length": 12 },
        },
        "service": { "version": "1.2.3" },
        "annotations": { "route": "/orders/{id}", "total": 129.5, "express": true },
        "metadata": { "default": { "cart": [1, null] } },
        "subsegments": [{ "name": "validate", "id": id(2), "start_time": 1_755_443_396.2, "end_time": 1_755_443_396.3 }],
    })
}

fn subsegment() -> Value {
    json!({
        "type": "subsegment",
        "name": "db@host",
        "id": id(3),
        "trace_id": trace_id(1),
        "parent_id": id(2),
        "start_time": 1_755_443_396.21,
        "end_time": 1_755_443_396.29,
        "namespace": "remote",
    })
}

/// The document with one field set, addressed by a JSON pointer whose parent exists.
fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a slash");
    match document.pointer_mut(parent).expect("a parent") {
        Value::Object(object) => drop(object.insert(key.to_owned(), value)),
        Value::Array(items) => items[key.parse::<usize>().expect("an index")] = value,
        other => panic!("no parent: {other}"),
    }
    document
}

fn without(mut document: Value, key: &str) -> Value {
    document.as_object_mut().and_then(|object| object.remove(key)).expect("the key");
    document
}

fn findings(document: &Value) -> Vec<String> {
    check_document(document).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn is_clean(document: &Value) {
    assert_eq!(findings(document), Vec::<String>::new(), "{document}");
}

/// Exactly one problem, of this severity, at this place.
#[track_caller]
fn has_only(severity: Severity, document: &Value, path: &str) {
    let problems = check_document(document);
    let found: Vec<_> = problems.iter().map(|problem| (problem.severity(), problem.path())).collect();
    assert_eq!(found, [(severity, path)], "{:?}", findings(document));
}

#[track_caller]
fn rejects(document: &Value, path: &str) {
    has_only(Severity::Rejected, document, path);
}

#[track_caller]
fn warns(document: &Value, path: &str) {
    has_only(Severity::Warning, document, path);
}

fn send(daemon: &LocalDaemon, bodies: impl IntoIterator<Item = Value>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    for body in bodies {
        let datagram = format!("{HEADER}\n{body}");
        socket.send_to(datagram.as_bytes(), daemon.local_addr()).expect("loopback takes 64 kB");
    }
}

fn draw(documents: impl IntoIterator<Item = Value>, width: usize) -> String {
    let options = RenderOptions::default().width(width).color(false);
    Trace::group(documents).iter().map(|trace| trace.render(&options)).collect()
}

mod datagrams {
    use super::*;

    #[track_caller]
    fn refused(datagram: &[u8], reason: &str) {
        let problem = check_datagram(datagram).expect_err(reason);
        assert_eq!(problem.severity(), Severity::Rejected);
        assert!(problem.to_string().contains(reason), "{problem}");
    }

    #[test]
    fn every_spelling_of_the_header_that_sdks_use_is_accepted() {
        for header in [
            HEADER,
            r#"{"format": "json", "version": 1}"#,
            r#"{"version":1,"format":"JSON","x":2}"#,
            "{\"format\": \"json\", \"version\": 1}\r",
            r#"{"Format":"json","Version":1}"#,
        ] {
            let datagram = format!("{header}\n{}\n", segment());
            assert_eq!(check_datagram(datagram.as_bytes()), Ok(segment()), "{header}");
        }
    }

    #[test]
    fn headers_that_the_daemon_refuses_are_refused() {
        for (header, reason) in [
            ("", "header is no JSON object"),
            ("[]", "header is no JSON object"),
            ("{}", "header.format must be \"json\", is null"),
            (r#"{"format":"xml","version":1}"#, "header.format must be \"json\", is \"xml\""),
            (r#"{"format":"json"}"#, "header.version must be the integer 1, is null"),
            (r#"{"format":"json","version":"1"}"#, "header.version must be the integer 1, is \"1\""),
            (r#"{"format":"json","version":1.0}"#, "header.version must be the integer 1, is 1.0"),
            (r#"{"format":"json","version":2}"#, "header.version must be the integer 1, is 2"),
        ] {
            refused(format!("{header}\n{{}}").as_bytes(), reason);
        }
    }

    #[test]
    fn a_datagram_carries_exactly_one_document_in_utf8() {
        refused(b"", "is empty");
        refused(HEADER.as_bytes(), "no newline");
        refused(format!("{HEADER}\n").as_bytes(), "no document");
        refused(format!("{HEADER}\n{{}}{{}}").as_bytes(), "no JSON document");
        refused(format!("{HEADER}\n{{}}\n{{}}").as_bytes(), "no JSON document");
        refused(format!("{HEADER}\n\u{feff}{{}}").as_bytes(), "no JSON document");
        refused(format!("{HEADER}\n{{\"a\":").as_bytes(), "no JSON document");
        refused(format!("{HEADER}\n[]").as_bytes(), "must be an object, is an array");
        refused(&[HEADER.as_bytes(), b"\n{\"a\":\"\xff\"}"].concat(), "no UTF-8");
    }

    #[test]
    fn a_document_nested_without_end_is_refused_not_followed() {
        let deep = format!("{HEADER}\n{}", "[".repeat(60_000));
        refused(deep.as_bytes(), "no JSON document");
    }
}

mod documents {
    use super::*;

    #[test]
    fn good_documents_are_clean() {
        is_clean(&segment());
        is_clean(&subsegment());
        is_clean(&with(without(segment(), "end_time"), "/in_progress", json!(true)));
        is_clean(&with(segment(), "/parent_id", json!(id(9))));
        is_clean(&with(segment(), "/name", json!("Ünï-注文 1/2:a&b#c=d+e@f_g.h%")));
        is_clean(&with(
            segment(),
            "/links",
            json!([{ "trace_id": trace_id(2), "id": id(7), "attributes": { "a": 1 } }]),
        ));
        is_clean(&with(subsegment(), "/precursor_ids", json!([id(5)])));
        is_clean(&with(subsegment(), "/traced", json!(true)));
        is_clean(&with(subsegment(), "/cause", json!(id(8))));
        is_clean(&with(
            segment(),
            "/cause",
            json!({
                "working_directory": "/srv", "paths": ["a"],
                "exceptions": [
                    { "id": id(10), "type": "A", "message": "a", "remote": false, "truncated": 0, "skipped": 0, "cause": id(11),
                      "stack": [{ "path": "a.rs", "line": 1, "label": "f" }] },
                    { "id": id(11) },
                ],
            }),
        ));
    }

    #[test]
    fn the_habits_of_other_sdks_are_no_problems() {
        is_clean(&with(segment(), "/Dummy", json!(false)));
        is_clean(&with(segment(), "/in_progress", json!(false)));
        is_clean(&with(segment(), "/subsegments/0/in_progress", json!(false)));
        is_clean(&with(segment(), "/subsegments/0/type", json!("subsegment")));
        is_clean(&with(segment(), "/subsegments/0/trace_id", json!(trace_id(1))));
        is_clean(&with(segment(), "/subsegments/0/parent_id", json!(id(99))));
        is_clean(&with(segment(), "/service/name", json!("unknown")));
        is_clean(&with(segment(), "/cause", json!({ "id": id(2), "exceptions": [] })));
        is_clean(&with(subsegment(), "/http", json!({ "request": { "traced": true } })));
        warns(&with(segment(), "/subsegments/0/namespace", json!("local")), "$.subsegments[0].namespace");
    }

    #[test]
    fn required_fields_depend_on_the_kind() {
        for field in ["name", "id", "start_time", "trace_id", "end_time"] {
            rejects(&without(segment(), field), "$");
        }
        for field in ["name", "id", "start_time", "trace_id", "parent_id", "end_time"] {
            rejects(&without(subsegment(), field), "$");
        }
        for field in ["name", "id", "start_time", "end_time"] {
            let mut document = segment();
            document["subsegments"][0].as_object_mut().unwrap().remove(field).unwrap();
            rejects(&document, "$.subsegments[0]");
        }
    }

    #[test]
    fn ids_have_their_forms() {
        for bad in ["", "123", "000000000000000g", "00000000000000001"] {
            rejects(&with(segment(), "/id", json!(bad)), "$.id");
            rejects(&with(segment(), "/parent_id", json!(bad)), "$.parent_id");
            rejects(&with(segment(), "/subsegments/0/id", json!(bad)), "$.subsegments[0].id");
        }
        rejects(&with(segment(), "/id", json!(1)), "$.id");
        warns(&with(segment(), "/id", json!("ABCDEF0123456789")), "$.id");
        warns(&with(segment(), "/parent_id", json!(id(0))), "$.parent_id");

        let long = format!("{}0", trace_id(1));
        for bad in ["", "1-68a1f0c4-00", &trace_id(1).replace("1-", "2-"), &trace_id(1).replace("1-", ""), &long] {
            rejects(&with(segment(), "/trace_id", json!(bad)), "$.trace_id");
        }
        rejects(&with(segment(), "/subsegments/0/trace_id", json!(7)), "$.subsegments[0].trace_id");
        warns(&with(segment(), "/trace_id", json!("1-00000000-000000000000000000000000")), "$.trace_id");
        warns(&with(segment(), "/trace_id", json!("1-68a1f0c4-00000000000000000000000A")), "$.trace_id");
        is_clean(&with(segment(), "/id", json!("1000000000000000")));
        is_clean(&with(segment(), "/id", json!("0100000000000000")));
    }

    #[test]
    fn an_id_stands_once_in_a_document() {
        rejects(&with(segment(), "/subsegments/0/id", json!(id(1))), "$.subsegments[0].id");
        let twice = json!({ "exceptions": [{ "id": id(7) }, { "id": id(7) }] });
        warns(&with(segment(), "/cause", twice), "$.cause.exceptions[1].id");
    }

    #[test]
    fn names_have_their_characters_and_length() {
        for bad in ["", "a?", "a\tb", "a\\b", "a;b", "a(b)", "a\u{202e}b", "a💥"] {
            rejects(&with(segment(), "/name", json!(bad)), "$.name");
        }
        is_clean(&with(segment(), "/name", json!("ü".repeat(200))));
        rejects(&with(segment(), "/name", json!("ü".repeat(201))), "$.name");
        // The schema asks little of the names of subsegments, so X-Ray may well take these.
        rejects(&with(subsegment(), "/name", json!("")), "$.name");
        warns(&with(subsegment(), "/name", json!("f()")), "$.name");
        warns(&with(segment(), "/name", json!("𐐀")), "$.name");
    }

    #[test]
    fn times_are_numbers_and_in_order() {
        rejects(&with(segment(), "/start_time", json!("1755443396.1")), "$.start_time");
        rejects(&with(segment(), "/end_time", json!("1755443396.1")), "$.end_time");
        rejects(&with(segment(), "/in_progress", json!(true)), "$");
        rejects(&with(without(segment(), "end_time"), "/in_progress", json!(false)), "$");
        warns(&with(segment(), "/end_time", json!(1_755_443_396.0)), "$.end_time");
        is_clean(&with(segment(), "/end_time", json!(1_755_443_396.1)));
        warns(&with(segment(), "/end_time", json!(1_755_443_396_100_u64)), "$.end_time");
        warns(&with(segment(), "/start_time", json!(-1)), "$.start_time");
    }

    #[test]
    fn a_namespace_is_aws_or_remote_and_belongs_to_subsegments() {
        is_clean(&with(subsegment(), "/namespace", json!("aws")));
        for bad in [json!(""), json!("Remote"), json!(1)] {
            rejects(&with(subsegment(), "/namespace", bad), "$.namespace");
        }
        warns(&with(segment(), "/namespace", json!("remote")), "$");
        warns(&with(segment(), "/traced", json!(true)), "$");
        warns(&with(segment(), "/type", json!("segment")), "$");
        for field in ["client_ip", "x_forwarded_for"] {
            let value = if field == "client_ip" { json!("10.0.0.1") } else { json!(true) };
            warns(&with(subsegment(), "/http", json!({ "request": { field: value } })), "$.http.request");
        }
    }

    #[test]
    fn integers_are_written_as_integers() {
        for bad in [json!(200.0), json!("200"), json!(u64::MAX), json!(true)] {
            rejects(&with(segment(), "/http/response/status", bad.clone()), "$.http.response.status");
            rejects(&with(segment(), "/aws", json!({ "retries": bad })), "$.aws.retries");
            rejects(
                &with(segment(), "/aws", json!({ "elastic_beanstalk": { "deployment_id": bad } })),
                "$.aws.elastic_beanstalk.deployment_id",
            );
            for field in ["truncated", "skipped"] {
                let cause = json!({ "exceptions": [{ "id": id(7), field: bad }] });
                rejects(&with(segment(), "/cause", cause), &format!("$.cause.exceptions[0].{field}"));
            }
            let cause = json!({ "exceptions": [{ "id": id(7), "stack": [{ "line": bad }] }] });
            rejects(&with(segment(), "/cause", cause), "$.cause.exceptions[0].stack[0].line");
        }
        rejects(&with(segment(), "/http/response/content_length", json!("12")), "$.http.response.content_length");
        warns(&with(segment(), "/http/response/content_length", json!(-1)), "$.http.response.content_length");
    }

    #[test]
    fn strings_keep_to_their_limits() {
        for field in ["method", "url", "user_agent", "client_ip"] {
            let pointer = format!("/http/request/{field}");
            is_clean(&with(segment(), &pointer, json!("é".repeat(250))));
            rejects(&with(segment(), &pointer, json!("é".repeat(251))), &format!("$.http.request.{field}"));
            rejects(&with(segment(), &pointer, json!(1)), &format!("$.http.request.{field}"));
        }
        rejects(&with(segment(), "/user", json!("u".repeat(251))), "$.user");
        rejects(&with(subsegment(), "/sql", json!({ "user": "u".repeat(251) })), "$.sql.user");
        rejects(&with(segment(), "/origin", json!(1)), "$.origin");
    }

    #[test]
    fn annotations_are_scalars_under_plain_keys() {
        for bad in [json!(null), json!([1]), json!({}), json!("a".repeat(1001))] {
            rejects(&with(segment(), "/annotations/route", bad), "$.annotations[\"route\"]");
        }
        is_clean(&with(segment(), "/annotations/route", json!("ü".repeat(1000))));
        is_clean(&with(segment(), &format!("/annotations/{}", "k".repeat(500)), json!(1)));
        for key in ["a-b", "a b", "", "ü"] {
            let path = format!("$.annotations[\"{key}\"]");
            rejects(&with(segment(), &format!("/annotations/{key}"), json!(1)), &path);
        }
        warns(&with(segment(), "/annotations/a.b", json!(1)), "$.annotations[\"a.b\"]");
        let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!(n))).collect();
        warns(&with(segment(), "/annotations", Value::Object(many)), "$");
        rejects(&with(segment(), "/annotations", json!([])), "$.annotations");
    }

    #[test]
    fn metadata_is_an_object_of_objects() {
        for bad in [json!("text"), json!(1), json!([]), json!(null)] {
            rejects(&with(segment(), "/metadata/default", bad), "$.metadata[\"default\"]");
        }
        rejects(&with(segment(), "/metadata", json!("text")), "$.metadata");
        warns(&with(segment(), "/metadata/AWS.x", json!({})), "$.metadata[\"AWS.x\"]");
    }

    #[test]
    fn a_cause_is_an_id_or_describes_exceptions_with_ids() {
        for bad in [json!(7), json!([]), json!("short"), json!(true)] {
            rejects(&with(segment(), "/cause", bad), "$.cause");
        }
        warns(&with(segment(), "/cause", json!("sixteen letters!")), "$.cause");
        rejects(&with(segment(), "/cause", json!({ "exceptions": [{ "message": "m" }] })), "$.cause.exceptions[0]");
        rejects(&with(segment(), "/cause", json!({ "exceptions": [{ "id": "short" }] })), "$.cause.exceptions[0].id");
        rejects(&with(segment(), "/cause", json!({ "exceptions": ["x"] })), "$.cause.exceptions[0]");
        rejects(&with(segment(), "/cause", json!({ "exceptions": {} })), "$.cause.exceptions");
        rejects(&with(segment(), "/cause", json!({ "paths": [1] })), "$.cause.paths[0]");
    }

    #[test]
    fn an_sql_url_has_the_form_that_collectors_demand() {
        for good in [
            "postgresql://h:5432/shop",
            "jdbc:mysql://h/d?x=y",
            "x://h/d/e",
            "x://h/d?a\u{e9}/b?c",
            "a///b/c",
            "x://ü/ü",
            "x://h/a\nb",
            "x://?/d",
        ] {
            is_clean(&with(subsegment(), "/sql", json!({ "url": good })));
        }
        for bad in [
            "",
            "postgresql://h:5432",
            "mysql://h/",
            "mysql://h/?d",
            "h:5432/shop",
            "//h:1/d",
            "sqlite:data.db",
            "sqlite:///data.db",
            "x://h/d?a\nb",
            "x\n://h/d",
            "x://",
            "ü",
        ] {
            rejects(&with(subsegment(), "/sql", json!({ "url": bad })), "$.sql.url");
        }
    }

    #[test]
    fn nulls_are_refused_wherever_a_field_is_known() {
        for field in
            ["name", "id", "start_time", "http", "user", "cause", "annotations", "fault", "subsegments", "links"]
        {
            rejects(&with(segment(), &format!("/{field}"), json!(null)), &format!("$.{field}"));
        }
        rejects(&with(segment(), "/subsegments/0", json!(null)), "$.subsegments[0]");
        is_clean(&with(segment(), "/unknown", json!(null)));
    }

    #[test]
    fn links_name_a_trace_and_an_entity() {
        rejects(&with(segment(), "/links", json!([{ "id": id(7) }])), "$.links[0]");
        rejects(&with(segment(), "/links", json!([{ "trace_id": trace_id(2) }])), "$.links[0]");
        let bad = json!([{ "id": id(7), "trace_id": trace_id(2), "attributes": 1 }]);
        rejects(&with(segment(), "/links", bad), "$.links[0].attributes");
    }

    #[test]
    fn keys_that_differ_by_case_only_are_pointed_out() {
        warns(&with(segment(), "/Name", json!("other")), "$");
        warns(&with(segment(), "/http/Response", json!({})), "$.http");
        warns(&with(segment(), "/u\u{17f}er", json!("long s")), "$");
        is_clean(&with(segment(), "/annotations/Route", json!(1)));
    }

    #[test]
    fn a_document_beyond_64_kb_is_pointed_out() {
        let padding = |bytes: usize| with(segment(), "/metadata/default", json!({ "pad": "x".repeat(bytes) }));
        let rest = padding(0).to_string().len();
        is_clean(&padding(64_000 - rest));
        warns(&padding(64_001 - rest), "$");
    }

    #[test]
    fn a_value_deeper_than_any_stack_ends_in_a_problem() {
        let mut deep = json!({});
        for _ in 0..1_000 {
            deep = json!({ "a": deep });
        }
        rejects(&with(segment(), "/metadata/default", deep), "$");
        rejects(&json!([]), "$");
    }

    #[test]
    fn problems_are_bounded_and_no_refusal_hides_behind_warnings() {
        let children: Vec<_> = (10..1_000)
            .map(|n| json!({ "name": "f()", "id": id(n), "start_time": 1, "end_time": if n == 999 { json!("x") } else { json!(1) } }))
            .collect();
        let problems = check_document(&with(segment(), "/subsegments", json!(children)));
        assert_eq!(problems.len(), 100);
        assert!(problems.iter().any(|problem| problem.severity() == Severity::Rejected));
    }

    #[test]
    fn problems_are_safe_to_print() {
        let document = with(segment(), "/annotations/\u{1b}[31m\u{202e}", json!("x"));
        let [problem] = &check_document(&document)[..] else { panic!("one problem") };
        assert_eq!(problem.path(), "$.annotations[\"\\u{1b}[31m\\u{202e}\"]");
    }
}

mod daemon {
    use super::*;

    #[test]
    fn documents_are_kept_by_trace_in_order_of_arrival() {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        let second = with(segment(), "/trace_id", json!(trace_id(2)));
        send(&daemon, [segment(), second, subsegment()]);
        assert!(daemon.wait_for(3, PATIENCE));

        let ids: Vec<_> = daemon.traces().iter().map(|trace| trace.id().to_owned()).collect();
        assert_eq!(ids, [trace_id(1), trace_id(2)]);
        assert_eq!(daemon.traces()[0].documents(), [segment(), subsegment()]);

        let stats = daemon.stats();
        assert_eq!((stats.datagrams, stats.documents, stats.invalid, stats.warnings), (3, 3, 0, 0));
    }

    #[test]
    fn settled_traces_leave_the_daemon() {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        send(&daemon, [segment()]);
        assert!(daemon.wait_for(1, PATIENCE));
        assert_eq!(daemon.take_settled(Duration::from_secs(3_600)), []);
        assert_eq!(daemon.take_settled(Duration::ZERO).len(), 1);
        assert_eq!(daemon.traces(), []);
        assert_eq!(daemon.stats().evicted_traces, 0);
    }

    #[test]
    fn refused_datagrams_are_counted_and_explained() {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"hello", daemon.local_addr()).unwrap();
        socket.send_to(b"", daemon.local_addr()).unwrap();
        send(&daemon, [with(segment(), "/http/response/status", json!("200"))]);
        send(&daemon, [with(segment(), "/subsegments/0/namespace", json!("local"))]);
        assert!(daemon.wait_for(1, PATIENCE));

        let stats = daemon.stats();
        assert_eq!((stats.datagrams, stats.documents, stats.invalid, stats.warnings), (3, 1, 2, 1));
        let problems: Vec<_> = daemon.take_problems().iter().map(ToString::to_string).collect();
        let sender = socket.local_addr().unwrap();
        assert_eq!(
            problems,
            [
                format!("rejected: {sender}: datagram has no newline between header and document"),
                "rejected: orders: $.http.response.status must be an integer, is \"200\"".to_owned(),
                "warning: orders: $.subsegments[0].namespace is \"local\", which older collectors refuse; leave it out"
                    .to_owned(),
            ]
        );
        assert_eq!(daemon.problems(), []);
    }

    #[test]
    fn a_complete_document_replaces_the_one_in_progress_whichever_comes_first() {
        let begun = with(without(segment(), "end_time"), "/in_progress", json!(true));
        for order in [[begun.clone(), segment()], [segment(), begun]] {
            let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
            send(&daemon, order);
            assert!(daemon.wait_for(2, PATIENCE));
            assert_eq!(daemon.traces()[0].documents(), [segment()]);
        }
    }

    #[test]
    fn the_oldest_traces_leave_when_there_are_too_many() {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        // One at a time, so that the kernel drops none.
        for number in 1..=1_003 {
            send(&daemon, [with(segment(), "/trace_id", json!(trace_id(number)))]);
            assert!(daemon.wait_for(number as u64, PATIENCE));
        }
        let traces = daemon.traces();
        assert_eq!(traces.len(), 1_000);
        assert_eq!(traces[0].id(), trace_id(4));
        assert_eq!(daemon.stats().evicted_traces, 3);
    }

    #[test]
    fn memory_is_bounded_even_within_one_trace() {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        // Small on the wire, about a hundred times as large in memory.
        let heavy: Vec<_> = (0..6_000).map(|_| json!({ "a": 1 })).collect();
        let heavy = with(segment(), "/metadata/default", json!({ "a": heavy }));
        for number in 1..=40 {
            send(&daemon, [with(without(heavy.clone(), "subsegments"), "/id", json!(id(number)))]);
            assert!(daemon.wait_for(number as u64, PATIENCE));
        }
        assert!(daemon.stats().evicted_traces >= 1);
    }

    #[test]
    fn a_taken_port_is_reported_as_such() {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        let error = LocalDaemon::bind(daemon.local_addr()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn it_says_whether_others_can_reach_it() {
        for (address, exposed) in [
            ("127.0.0.1:0", false),
            ("127.8.9.10:0", false),
            ("[::1]:0", false),
            ("[::ffff:127.0.0.1]:0", false),
            ("0.0.0.0:0", true),
            ("[::]:0", true),
        ] {
            // Not every machine has IPv6.
            match LocalDaemon::bind(address) {
                Ok(daemon) => assert_eq!(daemon.is_exposed(), exposed, "{address}"),
                Err(error) => assert!(address.starts_with('['), "{address}: {error}"),
            }
        }
    }

    #[test]
    fn dropping_it_is_quick_and_frees_the_port() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let daemon = LocalDaemon::bind(address).unwrap();
            let bound = daemon.local_addr();
            let start = Instant::now();
            drop(daemon);
            assert!(start.elapsed() < Duration::from_secs(5));
            assert!(UdpSocket::bind(bound).is_ok());
        }
    }

    #[test]
    fn waiting_in_vain_ends() {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        assert!(daemon.wait_for(0, Duration::ZERO));
        assert!(!daemon.wait_for(1, Duration::from_millis(1)));
    }
}

mod drawing {
    use super::*;

    fn entity(name: &str, number: usize, parent: usize, start: f64, end: f64) -> Value {
        json!({
            "type": "subsegment", "name": name, "id": id(number), "parent_id": id(parent), "trace_id": trace_id(1),
            "start_time": 1_755_443_396.0 + start, "end_time": 1_755_443_396.0 + end,
        })
    }

    #[test]
    fn three_services_form_one_tree() {
        let web = json!({
            "name": "web", "id": id(1), "trace_id": trace_id(1), "start_time": 1_755_443_396.0, "end_time": 1_755_443_396.4,
            "origin": "AWS::ECS::Fargate", "fault": true, "user": "u-1", "annotations": { "route": "/orders" },
            "http": { "request": { "method": "POST", "url": "http://localhost/orders" }, "response": { "status": 502 } },
            "subsegments": [{
                "name": "orders.test", "id": id(2), "namespace": "remote", "fault": true,
                "start_time": 1_755_443_396.1, "end_time": 1_755_443_396.4,
                "http": { "request": { "method": "PUT", "url": "http://orders.test/o/1?q=1" }, "response": { "status": 500 } },
            }],
        });
        let orders = json!({
            "name": "注文", "id": id(3), "parent_id": id(2), "trace_id": trace_id(1),
            "start_time": 1_755_443_396.1, "end_time": 1_755_443_396.3, "fault": true, "cause": id(50),
            "subsegments": [{
                "name": "db@host", "id": id(4), "namespace": "remote", "fault": true, "start_time": 1_755_443_396.1, "end_time": 1_755_443_396.2,
                "cause": { "exceptions": [
                    { "id": id(51), "type": "io::Error", "message": "refused", "remote": true },
                    { "id": id(50), "type": "StoreError", "message": "not\nsaved", "cause": id(51), "stack": [
                        { "label": "f", "path": "a.rs", "line": 1 }, { "label": "g", "path": "b.rs" }, { "path": "c.rs" }, {}, {},
                    ] },
                ] },
            }],
        });
        let stock = json!({
            "name": "stock", "id": id(5), "parent_id": id(3), "trace_id": trace_id(1), "start_time": 1_755_443_396.35, "in_progress": true,
        });
        let expected = "\
1-68a1f0c4-000000000000000000000001  POST localhost/orders   502  400 ms
web  AWS::ECS::Fargate                502  400 ms  ━━━━━━━━━━━━━━━━━━━━━
│  user=u-1  route=/orders
└─ orders.test  remote PUT /o/1       500  300 ms       ━━━━━━━━━━━━━━━━
   └─ 注文                          fault  200 ms       ━━━━━━━━━━━
      │  ✗ see db@host
      ├─ db@host  remote            fault  100 ms       ━━━━━╸
      │     ✗ StoreError: not\\nsaved
      │         at f (a.rs:1)
      │         at g (b.rs)
      │         at c.rs
      │         … 2 more
      │       caused by io::Error: refused  (remote)
      └─ stock                    running                            ┅┅┅
";
        let drawn = draw([stock, web, orders], 72);
        assert_eq!(drawn, expected, "\n{drawn}");
    }

    #[test]
    fn a_batch_tells_which_traces_it_is_linked_to() {
        let links = |count: usize| {
            let links = (1..=count).map(|number| json!({ "trace_id": trace_id(number + 7), "id": id(1) }));
            draw([with(segment(), "/links", links.collect())], 200)
        };
        assert!(!links(0).contains("link"));
        let three = links(3);
        assert!(three.contains(&trace_id(10)) && !three.contains("more"), "{three}");
        let five = links(5);
        assert!(five.contains(&trace_id(8)) && five.contains("links=and 2 more"), "{five}");
    }

    #[test]
    fn a_call_is_told_by_what_it_was_about() {
        let call = |namespace: &str, more: Value| {
            let mut segment = segment();
            segment["subsegments"][0]["namespace"] = namespace.into();
            let (key, value) = more.as_object().unwrap().iter().next().unwrap();
            segment["subsegments"][0][key] = value.clone();
            draw([segment], 160)
        };
        for (namespace, more, told) in [
            ("aws", json!({ "aws": { "operation": "PutItem", "table_name": "orders" } }), "aws PutItem orders"),
            ("aws", json!({ "aws": { "operation": "Invoke", "retries": 1 } }), "aws Invoke 1 retry"),
            ("aws", json!({ "aws": { "operation": "Invoke", "retries": 2 } }), "aws Invoke 2 retries"),
            (
                "aws",
                json!({ "aws": { "operation": "SendMessage", "queue_url": "http://h/1/jobs" } }),
                "SendMessage jobs",
            ),
            ("aws", json!({ "aws": { "operation": "Publish", "topic_arn": "arn:aws:sns:eu:1:news" } }), "Publish news"),
            ("remote", json!({ "sql": { "database_type": "PostgreSQL" } }), "remote PostgreSQL"),
        ] {
            let drawn = call(namespace, more);
            assert!(drawn.contains(told), "{told}: {drawn}");
        }
    }

    #[test]
    fn colours_change_nothing_but_colour() {
        let trace = &Trace::group([segment(), subsegment()])[0];
        let colored = trace.render(&RenderOptions::default());
        assert!(colored.contains("\u{1b}[32m200\u{1b}[0m"), "{colored}");
        let mut plain = String::new();
        let mut parts = colored.split('\u{1b}');
        plain.push_str(parts.next().unwrap());
        plain.extend(parts.map(|part| part.split_once('m').unwrap().1));
        assert_eq!(plain, trace.render(&RenderOptions::default().color(false)));
    }

    #[test]
    fn no_string_of_a_document_reaches_the_terminal_raw() {
        let evil = "a\u{1b}[2J\u{9b}1m\r\n\t\u{202e}\u{200b}\u{2028}\u{7f}\u{e000}e\u{301}\u{301}\u{301}\u{301}\u{301}";
        let document = json!({
            "name": evil, "id": id(1), "trace_id": trace_id(1), "start_time": 1.0, "end_time": 2.0, "origin": evil, "user": evil,
            "http": { "request": { "method": evil, "url": evil }, "response": { "status": 500 } }, "fault": true,
            "annotations": { evil: evil },
            "cause": { "exceptions": [{ "id": evil, "type": evil, "message": evil, "cause": evil, "stack": [{ "path": evil, "label": evil }] }] },
            "subsegments": [
                { "name": evil, "id": evil, "start_time": 1.5, "end_time": 1.6, "namespace": evil, "cause": evil, "aws": { "operation": evil } },
                { "name": evil, "sql": { "sanitized_query": evil }, "cause": "nowhere\u{1b}" },
            ],
        });
        let trace = &Trace::group([document])[0];
        for text in [trace.render(&RenderOptions::default().width(1_000).color(false)), trace.to_json_lines()] {
            let raw = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{200b}\u{2028}\u{e000}".contains(c));
            assert_eq!(text.matches(raw).collect::<Vec<_>>(), Vec::<&str>::new(), "{text}");
        }
        assert!(trace.render(&RenderOptions::default().width(1_000)).contains(r"a\u{1b}[2J\u{9b}1m\r\n\t\u{202e}"));
        assert_eq!(trace.to_json_lines().lines().count(), 1);
        let read: Value = serde_json::from_str(&trace.to_json_lines()).unwrap();
        assert_eq!(read, trace.documents()[0]);
    }

    #[test]
    fn every_line_keeps_to_the_width() {
        let wide = "注文".repeat(90);
        let document = json!({
            "name": wide, "id": id(1), "trace_id": trace_id(1), "start_time": 1.0, "end_time": 2.0, "origin": wide, "fault": true,
            "http": { "request": { "method": wide, "url": wide }, "response": { "status": i64::MAX } },
            "annotations": { "a": wide }, "cause": { "exceptions": [{ "id": id(9), "message": wide }] },
            "subsegments": [{ "name": wide, "id": id(2), "start_time": 1.5, "end_time": 1e300 }],
        });
        for width in [0, 40, 41, 59, 60, 61, 80, 99, 100, 133] {
            for line in draw([document.clone()], width).lines() {
                let columns: usize = line.chars().map(|c| if "注文".contains(c) { 2 } else { 1 }).sum();
                assert!(columns <= width.max(40), "{width}: {columns}: {line}");
            }
        }
    }

    #[test]
    fn orphans_and_circles_are_drawn_once() {
        let documents = [
            entity("orphan", 1, 99, 0.0, 0.1),
            entity("self", 2, 2, 0.1, 0.2),
            entity("x", 3, 5, 0.2, 0.3),
            entity("y", 4, 3, 0.3, 0.4),
            entity("z", 5, 4, 0.4, 0.5),
        ];
        let drawn = draw(documents, 80);
        for name in ["orphan", "self", "x ", "y ", "z "] {
            assert_eq!(drawn.matches(name).count(), 1, "{name}\n{drawn}");
        }
    }

    #[test]
    fn a_subsegment_joins_below_an_embedded_one_and_replaces_its_draft() {
        let begun = json!({
            "name": "orders", "id": id(1), "trace_id": trace_id(1), "start_time": 1_755_443_396.0, "in_progress": true,
            "subsegments": [{ "name": "draft", "id": id(2), "start_time": 1_755_443_396.1, "in_progress": true }],
        });
        let drawn = draw([entity("below", 3, 2, 0.2, 0.3), entity("final", 2, 1, 0.1, 0.4), begun], 60);
        let names: Vec<_> =
            drawn.lines().skip(1).filter_map(|line| line.split("  ").next().map(str::trim_end)).collect();
        assert_eq!(names[..2], ["orders", "└─ final"], "{drawn}");
        assert!(drawn.contains("   └─ below"), "{drawn}");
        assert!(!drawn.contains("draft"));
    }

    #[test]
    fn a_chain_of_twenty_thousand_overflows_nothing() {
        let documents = (1..20_000).rev().map(|n| json!({ "name": "n", "id": id(n), "parent_id": id(n - 1), "trace_id": trace_id(1), "start_time": 1, "end_time": 2 }));
        let drawn = draw(documents, 80);
        assert_eq!(drawn.lines().count(), 20_000);
        assert!(drawn.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn anything_that_is_json_can_be_drawn() {
        for document in [
            json!(null),
            json!([1]),
            json!({}),
            json!({ "subsegments": [1, {}, { "subsegments": {} }], "cause": {}, "http": 1, "aws": [], "sql": "" }),
            json!({ "start_time": -1e308, "end_time": 1e308 }),
            json!({ "start_time": 2, "end_time": 1 }),
            json!({ "end_time": 1 }),
            json!({ "in_progress": true }),
            json!({ "cause": { "exceptions": [{ "id": "a", "cause": "b" }, { "id": "b", "cause": "a" }, {}, 1] } }),
        ] {
            for width in [0, 80] {
                assert!(draw([document.clone()], width).lines().count() >= 2, "{document}");
            }
        }
    }

    #[test]
    fn durations_have_fitting_units() {
        for (seconds, text) in [
            (0.000_012, "12 µs"),
            (0.004_25, "4.25 ms"),
            (0.042, "42.0 ms"),
            (0.287, "287 ms"),
            (1.25, "1.25 s"),
            (42.0, "42.0 s"),
            (75.0, "1 m 15 s"),
            (7_200.0, "2.0 h"),
            (1e9, "> 1000 h"),
        ] {
            let document =
                json!({ "name": "a", "id": id(1), "trace_id": trace_id(1), "start_time": 0, "end_time": seconds });
            let drawn = draw([document], 80);
            assert!(drawn.lines().next().unwrap().ends_with(text), "{drawn}");
        }
    }
}
