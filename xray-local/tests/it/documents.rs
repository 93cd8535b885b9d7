//! Which documents are accepted, refused or untidy, and where.

use serde_json::{Value, json};
use xray_local::{Severity, check_document};

use super::support::{id, is_clean, rejects, segment, subsegment, trace_id, warns, with, without};

#[test]
fn good_documents_are_clean() {
    is_clean(&segment());
    is_clean(&subsegment());
    is_clean(&with(without(segment(), "end_time"), "/in_progress", json!(true)));
    is_clean(&with(segment(), "/parent_id", json!(id(9))));
    is_clean(&with(segment(), "/name", json!("Ünï-注文 1/2:a&b#c=d+e@f_g.h%")));
    is_clean(&with(segment(), "/links", json!([{ "trace_id": trace_id(2), "id": id(7), "attributes": { "a": 1 } }])));
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
    for field in ["name", "id", "start_time", "http", "user", "cause", "annotations", "fault", "subsegments", "links"] {
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
