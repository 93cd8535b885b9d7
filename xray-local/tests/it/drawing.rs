//! How traces are drawn.

use serde_json::{Value, json};
use xray_local::{RenderOptions, Trace};

use super::support::{draw, id, segment, subsegment, trace_id, with};

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
        ("aws", json!({ "aws": { "operation": "SendMessage", "queue_url": "http://h/1/jobs" } }), "SendMessage jobs"),
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
    let names: Vec<_> = drawn.lines().skip(1).filter_map(|line| line.split("  ").next().map(str::trim_end)).collect();
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
