//! What is sent: documents with everything that documents can say, and datagrams that nobody would take.

use serde_json::{Value, json};

const HEADER: &str = r#"{"format":"json","version":1}"#;
const START: f64 = 1_755_443_396.0;

/// A name, and the datagrams in the order of their arrival.
type Scene = (&'static str, Vec<Vec<u8>>);

pub(crate) fn all() -> Vec<Scene> {
    vec![
        ("a request, with everything that a segment can say", send([full()])),
        ("errors, throttles and faults, by their flags and by their status", send([outcomes()])),
        ("causes: chains, panics, stacks, references", send(causes())),
        ("in progress, before and after the end", send(in_progress())),
        ("two services, joined by an independent subsegment", send(two_services())),
        ("calls of AWS, SQL, and what they were about", send([calls()])),
        ("streams: long, and with no length", send([streams()])),
        ("links: of a batch to the traces of its messages", send([linked(1), linked(3), linked(5)])),
        ("orphans, circles, several roots", send(orphans())),
        ("deep and wide", send([deep(40), wide()])),
        ("text that a terminal would obey, or draw wide", send([hostile()])),
        ("durations", send(durations())),
        ("numbers and times that are none", send(odd_times())),
        ("documents that are refused, or untidy", send(refused())),
        ("anything that is JSON", send(anything())),
        ("datagrams that are refused", datagrams()),
    ]
}

fn send(documents: impl IntoIterator<Item = Value>) -> Vec<Vec<u8>> {
    documents.into_iter().map(|document| format!("{HEADER}\n{document}").into_bytes()).collect()
}

fn id(number: u64) -> String {
    format!("{number:016x}")
}

fn trace_id(number: u64) -> String {
    format!("1-68a1f0c4-{number:024x}")
}

/// The first object with the entries of the second.
fn with(mut object: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("no object: {more}") };
    object.as_object_mut().expect("an object").extend(more);
    object
}

fn segment(name: &str, number: u64, start: f64, end: f64) -> Value {
    json!({
        "name": name, "id": id(number), "trace_id": trace_id(1), "start_time": START + start, "end_time": START + end,
    })
}

fn embedded(name: &str, number: u64, start: f64, end: f64) -> Value {
    json!({ "name": name, "id": id(number), "start_time": START + start, "end_time": START + end })
}

fn independent(name: &str, number: u64, parent: u64, start: f64, end: f64) -> Value {
    with(segment(name, number, start, end), json!({ "type": "subsegment", "parent_id": id(parent) }))
}

fn full() -> Value {
    with(
        segment("orders", 1, 0.104, 0.391),
        json!({
            "origin": "AWS::ECS::Fargate",
            "user": "u-42",
            "parent_id": id(99),
            "http": {
                "request": {
                    "method": "GET", "url": "https://shop.example.com/orders/42?full=1", "user_agent": "curl/8",
                    "client_ip": "10.0.0.1", "x_forwarded_for": true,
                },
                "response": { "status": 200, "content_length": 1234 },
            },
            "service": { "version": "1.2.3", "runtime": "rustc", "runtime_version": "1.85.0" },
            "annotations": { "route": "/orders/{id}", "total": 129.5, "count": -3, "express": true, "note": "two words" },
            "metadata": { "default": { "cart": [1, null, { "deep": [[]] }] }, "tower_xray": { "cut": ["metadata"] } },
            "aws": {
                "account_id": "123456789012",
                "ecs": { "container": "c-1", "container_id": "0123", "task_arn": "arn:aws:ecs:eu-central-1:1:task/a" },
                "ec2": { "instance_id": "i-1", "availability_zone": "eu-central-1a" },
                "cloudwatch_logs": [{ "log_group": "/orders", "arn": "arn:aws:logs:eu-central-1:1:log-group:/orders" }],
                "xray": { "sdk": "tower-xray", "sdk_version": "0.1.0" },
            },
            "subsegments": [
                embedded("validate", 2, 0.11, 0.12),
                with(embedded("load", 3, 0.12, 0.3), json!({
                    "annotations": { "hit": false }, "metadata": { "default": { "k": "v" } },
                    "subsegments": [embedded("parse", 4, 0.2, 0.25), embedded("check", 5, 0.15, 0.2)],
                })),
                with(embedded("pricing.example.com", 6, 0.3, 0.38), json!({
                    "namespace": "remote", "traced": true, "precursor_ids": [id(2)],
                    "http": {
                        "request": { "method": "POST", "url": "http://pricing.example.com/prices?sku=1", "traced": true },
                        "response": { "status": 201, "content_length": 7 },
                    },
                })),
            ],
        }),
    )
}

fn outcomes() -> Value {
    let status = |status: i64| json!({ "http": { "response": { "status": status } } });
    let cases = [
        ("plain", json!({})),
        ("status 200", status(200)),
        ("status 302", status(302)),
        ("status 404", status(404)),
        ("status 404, an error", with(status(404), json!({ "error": true }))),
        ("status 429", status(429)),
        ("status 429, throttled", with(status(429), json!({ "error": true, "throttle": true }))),
        ("status 500", status(500)),
        ("status 503, a fault", with(status(503), json!({ "fault": true }))),
        ("status 200, a fault", with(status(200), json!({ "fault": true }))),
        ("status 200, an error", with(status(200), json!({ "error": true }))),
        ("status 500, no fault", with(status(500), json!({ "fault": false }))),
        ("status 600", status(600)),
        ("status -1", status(-1)),
        ("an error", json!({ "error": true })),
        ("throttled", json!({ "error": true, "throttle": true })),
        ("a fault", json!({ "fault": true })),
        ("all of them", json!({ "error": true, "throttle": true, "fault": true })),
        ("a flag that is text", json!({ "fault": "true" })),
        ("a status that is text", json!({ "http": { "response": { "status": "500" } } })),
    ];
    let children: Vec<Value> = (0..)
        .zip(cases)
        .map(|(number, (name, more))| {
            with(embedded(name, 10 + number, 0.01 * number as f64, 0.02 + 0.01 * number as f64), more)
        })
        .collect();
    with(
        segment("web", 1, 0.0, 0.4),
        json!({
            "fault": true,
            "http": { "request": { "method": "POST", "url": "http://localhost/pay" }, "response": { "status": 502 } },
            "subsegments": children,
        }),
    )
}

fn causes() -> Vec<Value> {
    let frames = |count: usize| -> Vec<Value> {
        (1..=count)
            .map(|line| json!({ "label": format!("orders::step_{line}"), "path": "src/orders.rs", "line": line }))
            .collect()
    };
    let many: Vec<Value> = (0..10)
        .map(|number| {
            let exception = json!({ "id": id(200 + number), "type": "Level", "message": format!("number {number}") });
            if number < 9 { with(exception, json!({ "cause": id(201 + number) })) } else { exception }
        })
        .collect();
    let first = with(
        segment("orders", 1, 0.0, 1.0),
        json!({
            "fault": true,
            "http": { "request": { "method": "GET", "url": "http://localhost/orders" }, "response": { "status": 500 } },
            "cause": { "working_directory": "/srv/orders", "paths": ["src"], "exceptions": [
                { "id": id(100), "type": "panic", "message": "index out of bounds: the len is 3 but the index is 7",
                  "stack": frames(2), "truncated": 4, "skipped": 1 },
            ] },
            "subsegments": [
                with(embedded("store", 2, 0.1, 0.2), json!({ "fault": true, "namespace": "remote", "cause": { "exceptions": [
                    { "id": id(112), "type": "io::Error", "message": "connection refused", "remote": true },
                    { "id": id(111), "type": "PoolError", "cause": id(112) },
                    { "id": id(110), "type": "StoreError", "message": "the order was not saved", "cause": id(111),
                      "stack": frames(5) },
                ] } })),
                with(embedded("a chain of ten", 3, 0.2, 0.3), json!({ "fault": true, "cause": { "exceptions": many } })),
                with(embedded("two of its own", 4, 0.3, 0.4), json!({ "error": true, "cause": { "exceptions": [
                    { "id": id(120), "message": "only a message" },
                    { "id": id(121), "type": "OnlyAType" },
                    { "id": id(122) },
                ] } })),
                with(embedded("elsewhere", 5, 0.4, 0.5), json!({ "fault": true, "cause": id(110) })),
                with(embedded("nowhere", 6, 0.5, 0.6), json!({ "fault": true, "cause": "00000000deadbeef" })),
                with(embedded("caused by others", 7, 0.6, 0.7), json!({ "fault": true, "cause": { "exceptions": [
                    { "id": id(130), "type": "A", "message": "a", "cause": id(112) },
                    { "id": id(131), "type": "B", "message": "b", "cause": "00000000deadbeef" },
                ] } })),
                with(embedded("in a circle", 8, 0.7, 0.8), json!({ "fault": true, "cause": { "exceptions": [
                    { "id": id(140), "type": "Chicken", "message": "came from an egg", "cause": id(141) },
                    { "id": id(141), "type": "Egg", "message": "came from a chicken", "cause": id(140) },
                ] } })),
                with(embedded("names a child", 9, 0.8, 0.9), json!({ "fault": true, "cause": { "id": id(2), "exceptions": [] } })),
                with(embedded("frames", 10, 0.9, 1.0), json!({ "fault": true, "cause": { "exceptions": [
                    { "id": id(150), "type": "E", "stack": [{ "label": "f" }, { "path": "a.rs" }, { "path": "b.rs", "line": 1 }] },
                    { "id": id(151), "type": "F", "stack": [{}, { "line": 7 }, { "label": "", "path": "" }, { "label": "g" }] },
                ] } })),
            ],
        }),
    );
    let second = with(
        independent("late", 20, 2, 0.15, 0.18),
        json!({ "fault": true, "cause": { "exceptions": [
            { "id": id(160), "type": "Timeout", "message": "after 30 ms", "cause": id(110) },
        ] } }),
    );
    vec![first, second]
}

fn in_progress() -> Vec<Value> {
    let open = |document: Value| {
        let mut document = with(document, json!({ "in_progress": true }));
        document.as_object_mut().expect("an object").remove("end_time");
        document
    };
    let request = json!({ "http": { "request": { "method": "GET", "url": "http://localhost/events" } } });
    let begun = with(
        open(segment("events", 1, 0.0, 0.0)),
        with(
            request.clone(),
            json!({ "subsegments": [open(embedded("draft", 2, 0.5, 0.0)), embedded("done", 3, 0.1, 0.4)] }),
        ),
    );
    let other = |document: Value| with(document, json!({ "trace_id": trace_id(2) }));
    vec![
        begun.clone(),
        open(independent("stream", 4, 1, 0.6, 0.0)),
        independent("closed", 5, 1, 0.7, 2.0),
        with(open(independent("failed already", 6, 1, 0.8, 0.0)), json!({ "fault": true })),
        other(begun.clone()),
        other(with(
            segment("events", 1, 0.0, 3.0),
            with(request, json!({ "http": { "response": { "status": 200 } } })),
        )),
        other(begun),
    ]
}

fn two_services() -> Vec<Value> {
    let web = with(
        segment("web", 1, 0.0, 0.4),
        json!({
            "origin": "AWS::EC2::Instance",
            "http": { "request": { "method": "POST", "url": "http://localhost/checkout" }, "response": { "status": 200 } },
            "subsegments": [with(embedded("orders.internal", 2, 0.05, 0.35), json!({
                "namespace": "remote",
                "http": { "request": { "method": "PUT", "url": "http://orders.internal/orders/7?q=1" }, "response": { "status": 200 } },
            }))],
        }),
    );
    let orders = with(
        segment("orders", 3, 0.06, 0.34),
        json!({
            "parent_id": id(2), "origin": "AWS::ECS::Container", "annotations": { "tier": "gold" },
            "http": { "request": { "method": "PUT", "url": "http://orders.internal/orders/7" }, "response": { "status": 200 } },
            "subsegments": [with(embedded("charge", 4, 0.1, 0.3), json!({ "user": "u-1" }))],
        }),
    );
    let bank = with(
        independent("bank.example.com", 5, 4, 0.15, 0.25),
        json!({ "namespace": "remote", "http": { "request": { "method": "POST", "url": "https://bank.example.com" } } }),
    );
    // Datagrams overtake each other.
    vec![bank, orders, web]
}

fn calls() -> Value {
    let aws = |operation: &str, more: Value| json!({ "namespace": "aws", "aws": with(json!({ "operation": operation }), more) });
    let cases = [
        ("DynamoDB", aws("PutItem", json!({ "table_name": "orders", "region": "eu-central-1", "request_id": "R1" }))),
        ("DynamoDB", aws("BatchGetItem", json!({ "table_names": ["a", "b"], "retries": 1 }))),
        ("S3", aws("GetObject", json!({ "bucket_name": "invoices", "key": "2026/1.pdf", "retries": 2 }))),
        (
            "SQS",
            aws("SendMessage", json!({ "queue_url": "https://sqs.eu-central-1.amazonaws.com/1/jobs", "retries": 0 })),
        ),
        ("SNS", aws("Publish", json!({ "topic_arn": "arn:aws:sns:eu-central-1:1:news" }))),
        ("Lambda", aws("Invoke", json!({ "function_name": "resize" }))),
        ("Kinesis", aws("PutRecords", json!({ "stream_name": "clicks" }))),
        ("SecretsManager", aws("GetSecretValue", json!({ "resource_names": ["db/password", "other"] }))),
        ("STS", json!({ "namespace": "aws", "aws": {} })),
        (
            "shop@db",
            json!({ "namespace": "remote", "sql": {
            "database_type": "PostgreSQL", "database_version": "17", "url": "postgresql://db:5432/shop", "user": "shop",
            "sanitized_query": "SELECT id, name FROM orders WHERE id = ?", "preparation": "statement", "driver_version": "sqlx",
        } }),
        ),
        ("main", json!({ "sql": { "database_type": "SQLite", "sanitized_query": "INSERT INTO t\nVALUES (?)" } })),
        (
            "grpc",
            json!({ "namespace": "remote", "annotations": { "route": "/shop.Prices/Get" },
                "http": { "request": { "method": "POST", "url": "http://prices:50051/shop.Prices/Get" }, "response": { "status": 200 } },
                "error": true, "cause": { "exceptions": [{ "id": id(50), "type": "grpc", "message": "NOT_FOUND: no such price", "remote": true }] },
            }),
        ),
        (
            "no path",
            json!({ "namespace": "remote", "http": { "request": { "method": "GET", "url": "http://example.com" } } }),
        ),
        (
            "no scheme",
            json!({ "namespace": "remote", "http": { "request": { "method": "GET", "url": "example.com/a?b" } } }),
        ),
        ("url only", json!({ "http": { "request": { "url": "http://example.com/a/b" } } })),
    ];
    let children: Vec<Value> = (0..)
        .zip(cases)
        .map(|(number, (name, more))| {
            with(embedded(name, 10 + number, 0.01 * number as f64, 0.03 + 0.01 * number as f64), more)
        })
        .collect();
    with(segment("worker", 1, 0.0, 0.2), json!({ "subsegments": children, "origin": "AWS::Lambda::Function" }))
}

fn streams() -> Value {
    with(
        segment("stream", 1, 0.0, 754.25),
        json!({
            "http": { "request": { "method": "GET", "url": "http://localhost/events" }, "response": { "status": 200, "content_length": 52_428_800 } },
            "error": true,
            "cause": { "exceptions": [{ "id": id(60), "type": "disconnected", "message": "the client left before the end of the response" }] },
            "subsegments": [
                with(embedded("upstream", 2, 0.5, 754.0), json!({
                    "namespace": "remote",
                    "http": { "request": { "method": "GET", "url": "http://up/stream" }, "response": { "status": 200, "content_length": -1 } },
                })),
                embedded("first byte", 3, 0.000_1, 0.000_15),
                embedded("middle", 4, 300.0, 460.0),
            ],
        }),
    )
}

fn linked(count: u64) -> Value {
    let links: Vec<Value> = (1..=count)
        .map(|number| json!({ "trace_id": trace_id(number + 50), "id": id(number), "attributes": { "n": number } }))
        .collect();
    with(
        segment("batch", 1, 0.0, 0.1),
        json!({ "trace_id": trace_id(count), "links": links, "annotations": { "messages": count }, "user": "worker" }),
    )
}

fn orphans() -> Vec<Value> {
    vec![
        independent("orphan", 1, 99, 0.0, 0.1),
        independent("its own parent", 2, 2, 0.1, 0.2),
        independent("x", 3, 5, 0.2, 0.3),
        independent("y", 4, 3, 0.3, 0.4),
        independent("z", 5, 4, 0.4, 0.5),
        segment("second root", 6, 0.05, 0.45),
        independent("child of the second", 7, 6, 0.1, 0.2),
        independent("twice", 8, 6, 0.2, 0.3),
        independent("twice, again", 8, 6, 0.2, 0.35),
        with(segment("other trace", 1, 0.0, 0.1), json!({ "trace_id": trace_id(9) })),
        json!({ "name": "no trace", "id": id(30), "start_time": START, "end_time": START + 0.1 }),
    ]
}

fn deep(levels: u64) -> Value {
    let mut inner = embedded("bottom", 1_000, 0.4, 0.5);
    for level in (1..levels).rev() {
        let time = 0.01 * level as f64;
        inner = with(
            embedded(&format!("level {level}"), level + 1, time, 1.0 - time),
            json!({
                "annotations": { "level": level },
                "subsegments": [inner, embedded("leaf", level + 500, 0.5, 0.6)],
            }),
        );
    }
    with(segment("top", 1, 0.0, 1.0), json!({ "subsegments": [inner] }))
}

fn wide() -> Value {
    let long = "a name that is longer than any column could be ".repeat(4);
    with(
        segment(&long[..180], 1, 0.0, 1.0),
        json!({
            "trace_id": trace_id(2),
            "origin": long.clone(),
            "http": { "request": { "method": "GET", "url": format!("https://example.com/{}", "path/".repeat(40)) }, "response": { "status": 200 } },
            "annotations": { "key": long.clone(), "second": long.clone() },
            "cause": { "exceptions": [{ "id": id(70), "type": long.clone(), "message": long.clone(), "stack": [{ "label": long.clone(), "path": long.clone(), "line": 1 }] }] },
            "fault": true,
            "subsegments": [
                with(embedded("名前がとても長い注文サービスの中の処理", 2, 0.1, 0.2), json!({ "sql": { "database_type": long.clone(), "sanitized_query": long } })),
                embedded("Grüße", 3, 0.2, 0.999),
            ],
        }),
    )
}

fn hostile() -> Value {
    let evil = "a\u{1b}[2J\u{9b}1m\r\n\t\u{202e}\u{200b}\u{2028}\u{7f}\u{e000}e\u{301}\u{301}\u{301}\u{301}\u{301}💥";
    json!({
        "name": evil, "id": id(1), "trace_id": trace_id(1), "start_time": 1.0, "end_time": 2.0, "origin": evil, "user": evil,
        "http": { "request": { "method": evil, "url": evil }, "response": { "status": 500 } }, "fault": true,
        "annotations": { evil: evil, "plain": evil },
        "links": [{ "trace_id": evil, "id": evil }],
        "metadata": { evil: { evil: evil } },
        "cause": { "exceptions": [{ "id": evil, "type": evil, "message": evil, "cause": evil, "stack": [{ "path": evil, "label": evil }] }] },
        "subsegments": [
            { "name": evil, "id": evil, "start_time": 1.5, "end_time": 1.6, "namespace": evil, "cause": evil, "aws": { "operation": evil } },
            { "name": evil, "sql": { "sanitized_query": evil }, "cause": "nowhere\u{1b}" },
        ],
        "\u{1b}": evil,
    })
}

fn durations() -> Vec<Value> {
    let seconds = [
        0.0,
        0.000_000_4,
        0.000_012,
        0.000_999,
        0.001,
        0.004_25,
        0.009_995,
        0.042,
        0.099_95,
        0.287,
        0.999_5,
        1.25,
        9.995,
        42.0,
        59.95,
        75.0,
        3_599.9,
        7_200.0,
        3.6e6,
        1e9,
    ];
    (1..)
        .zip(seconds)
        .map(|(number, seconds)| json!({ "name": "timed", "id": id(1), "trace_id": trace_id(number), "start_time": 0, "end_time": seconds }))
        .collect()
}

fn odd_times() -> Vec<Value> {
    let other = |number: u64, more: Value| {
        with(
            json!({ "name": "odd", "id": id(number), "trace_id": trace_id(number), "start_time": 1, "end_time": 2 }),
            more,
        )
    };
    vec![
        other(1, json!({ "end_time": 0.5 })),
        other(2, json!({ "start_time": -1e308, "end_time": 1e308 })),
        other(3, json!({ "start_time": 1_755_443_396_104_u64, "end_time": 1_755_443_396_391_u64 })),
        other(4, json!({ "start_time": "1", "end_time": "2" })),
        other(5, json!({ "end_time": null })),
        other(6, json!({ "in_progress": true })),
        other(7, json!({ "in_progress": false })),
        other(
            8,
            json!({ "subsegments": [{ "name": "before", "id": id(80), "start_time": 0.5, "end_time": 0.6 }, { "name": "after", "id": id(81), "start_time": 3, "end_time": 4 }] }),
        ),
    ]
}

fn refused() -> Vec<Value> {
    let other = |number: u64, more: Value| {
        with(with(segment("orders", number, 0.0, 0.1), json!({ "trace_id": trace_id(number) })), more)
    };
    let heavy: serde_json::Map<_, _> = (0..51).map(|number| (format!("k{number}"), json!(number))).collect();
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({ "a": deep });
    }
    vec![
        other(1, json!({ "id": "ABCDEF0123456789", "parent_id": id(0), "name": "a?b" })),
        other(2, json!({ "trace_id": "1-00000000-000000000000000000000000", "id": "xyz" })),
        other(3, json!({ "trace_id": "2-68a1f0c4-000000000000000000000001" })),
        other(
            4,
            json!({ "name": "", "namespace": "remote", "type": "segment", "traced": true, "precursor_ids": ["x", 1] }),
        ),
        other(5, json!({ "name": "ü".repeat(201), "inferred": true })),
        other(
            6,
            json!({ "name": "𐐀", "Name": "other", "http": { "Response": {}, "response": { "status": 200.5, "content_length": "12" } } }),
        ),
        other(
            7,
            json!({ "annotations": { "a-b": 1, "a.b": 2, "": 3, "null": null, "list": [1], "long": "x".repeat(1001) } }),
        ),
        other(8, json!({ "annotations": heavy })),
        other(9, json!({ "annotations": [], "metadata": { "AWS.x": {}, "text": "text", "null": null } })),
        other(
            10,
            json!({ "cause": { "exceptions": ["x", { "message": "no id" }, { "id": "short" }, { "id": id(7) }, { "id": id(7) }], "paths": [1] } }),
        ),
        other(
            11,
            json!({ "cause": 7, "user": "u".repeat(251), "origin": 1, "service": [], "aws": { "retries": 1.5, "resource_names": {} } }),
        ),
        other(
            12,
            json!({ "cause": "sixteen letters!", "sql": { "url": "sqlite:data.db", "preparation": "prepared" } }),
        ),
        other(
            13,
            json!({ "subsegments": [1, null, { "name": "f()" }, { "name": "same id", "id": id(13), "start_time": 1, "end_time": 0, "namespace": "local" }] }),
        ),
        other(
            14,
            json!({ "subsegments": {}, "links": [{ "id": id(7) }, { "id": id(7), "trace_id": trace_id(1), "attributes": 1 }, 5] }),
        ),
        other(15, json!({ "metadata": { "default": { "pad": "x".repeat(64_000) } } })),
        other(16, json!({ "metadata": { "default": deep } })),
        other(
            17,
            json!({ "type": "subsegment", "namespace": "Remote", "http": { "request": { "client_ip": "10.0.0.1", "x_forwarded_for": "yes", "url": "u".repeat(251) } } }),
        ),
        other(18, json!({ "fault": "yes", "in_progress": true })),
    ]
}

fn anything() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "subsegments": [1, {}, { "subsegments": {} }], "cause": {}, "http": 1, "aws": [], "sql": "" }),
        json!({ "cause": { "exceptions": [{ "id": "a", "cause": "b" }, { "id": "b", "cause": "a" }, {}, 1] } }),
        json!({ "name": 1, "id": [], "start_time": {}, "links": {}, "annotations": { "a": [1, { "b": null }] }, "user": 7 }),
    ]
}

fn datagrams() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "hello",
        "{}\n{}",
        "[]\n{}",
        "{\"format\":\"xml\",\"version\":1}\n{}",
        "{\"format\":7,\"version\":1}\n{}",
        "{\"format\":\"json\"}\n{}",
        "{\"format\":\"json\",\"version\":\"1\"}\n{}",
        "{\"format\":\"json\",\"version\":1.0}\n{}",
        "{\"format\":\"json\",\"version\":2}\n{}",
        "{\"Format\":\"JSON\",\"Version\":1}\n[]",
        "{\"format\":\"json\",\"version\":1}\n",
        "{\"format\":\"json\",\"version\":1}\n{}{}",
        "{\"format\":\"json\",\"version\":1}\n{\"a\":",
        "{\"format\":\"js\u{1b}on\",\"version\":1}\n{}",
        "{\"format\":\"json\",\"version\":1}\n\"text\"",
        "{\"format\":\"json\",\"version\":1}\nnull",
    ];
    let mut datagrams: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    datagrams.push([HEADER.as_bytes(), b"\n{\"a\":\"\xff\"}"].concat());
    datagrams.push(format!("{HEADER}\n{}", "[".repeat(60_000)).into_bytes());
    datagrams
}
