//! Documents, and what the tests ask of them.

use std::net::UdpSocket;
use std::time::Duration;

use serde_json::{Value, json};
use xray_local::{LocalDaemon, RenderOptions, Severity, Trace, check_document};

pub(crate) const HEADER: &str = r#"{"format":"json","version":1}"#;
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn trace_id(number: usize) -> String {
    format!("1-68a1f0c4-{number:024x}")
}

pub(crate) fn id(number: usize) -> String {
    format!("{number:016x}")
}

/// A segment that nobody has anything to say about.
pub(crate) fn segment() -> Value {
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

pub(crate) fn subsegment() -> Value {
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
pub(crate) fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a slash");
    match document.pointer_mut(parent).expect("a parent") {
        Value::Object(object) => drop(object.insert(key.to_owned(), value)),
        Value::Array(items) => items[key.parse::<usize>().expect("an index")] = value,
        other => panic!("no parent: {other}"),
    }
    document
}

pub(crate) fn without(mut document: Value, key: &str) -> Value {
    document.as_object_mut().and_then(|object| object.remove(key)).expect("the key");
    document
}

pub(crate) fn findings(document: &Value) -> Vec<String> {
    check_document(document).iter().map(ToString::to_string).collect()
}

#[track_caller]
pub(crate) fn is_clean(document: &Value) {
    assert_eq!(findings(document), Vec::<String>::new(), "{document}");
}

/// Exactly one problem, of this severity, at this place.
#[track_caller]
pub(crate) fn has_only(severity: Severity, document: &Value, path: &str) {
    let problems = check_document(document);
    let found: Vec<_> = problems.iter().map(|problem| (problem.severity(), problem.path())).collect();
    assert_eq!(found, [(severity, path)], "{:?}", findings(document));
}

#[track_caller]
pub(crate) fn rejects(document: &Value, path: &str) {
    has_only(Severity::Rejected, document, path);
}

#[track_caller]
pub(crate) fn warns(document: &Value, path: &str) {
    has_only(Severity::Warning, document, path);
}

pub(crate) fn send(daemon: &LocalDaemon, bodies: impl IntoIterator<Item = Value>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    for body in bodies {
        let datagram = format!("{HEADER}\n{body}");
        socket.send_to(datagram.as_bytes(), daemon.local_addr()).expect("loopback takes 64 kB");
    }
}

pub(crate) fn draw(documents: impl IntoIterator<Item = Value>, width: usize) -> String {
    let options = RenderOptions::default().width(width).color(false);
    Trace::group(documents).iter().map(|trace| trace.render(&options)).collect()
}
