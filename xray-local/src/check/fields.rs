//! In: an object of a document and the table of its fields. Out: what its fields and their values break.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::forms;
use super::problem::{Report, found};
use crate::text;

/// What a field may hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Annotations,
    Any,
    Bool,
    /// An object with these fields, or the id of an exception.
    Cause(&'static [Field]),
    Count,
    Id,
    Integer,
    Mapping,
    Metadata,
    Namespace,
    Number,
    Object(&'static [Field]),
    Objects(&'static [Field]),
    /// Sixteen characters by the schema, hexadecimal by the documentation.
    Reference,
    References,
    SqlUrl,
    Text(usize),
    Texts,
    TraceId,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

pub(super) const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

pub(super) const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

/// Checks every field that the table knows; others are ignored, as every reader does.
pub(super) fn check(report: &mut Report, path: &str, object: &Map<String, Value>, table: &[Field]) {
    for field in table {
        match object.get(field.name) {
            Some(value) => {
                check_value(report, &format!("{path}.{}", field.name), value, field.kind);
            }
            None if field.required => report.rejected(path, format!("has no `{}`", field.name)),
            None => {}
        }
    }
    check_case(report, path, object, table);
}

/// Go's decoder matches keys ignoring case, so there a stray `Name` overwrites `name`.
fn check_case(report: &mut Report, path: &str, object: &Map<String, Value>, table: &[Field]) {
    let plain = |key: &String| key.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if object.keys().all(plain) {
        return;
    }
    let mut first: HashMap<String, &str> = HashMap::new();
    for key in object.keys() {
        let folded = forms::fold(key);
        let is_stray = |field: &Field| field.name == folded && !object.contains_key(field.name);
        if let Some(other) = first.get(&folded) {
            let (other, key) = (text::quote(other), text::quote(key));
            report.warning(path, format!("has {other} and {key}, which a collector takes for one"));
        } else if table.iter().any(is_stray) {
            let key = text::quote(key);
            report.warning(path, format!("has {key}, which a collector reads as `{folded}`"));
        }
        first.entry(folded).or_insert(key);
    }
}

/// Checks one value by the kind that its field asks for.
pub(super) fn check_value(report: &mut Report, path: &str, value: &Value, kind: Kind) {
    match (kind, value) {
        (Kind::Any, _) | (Kind::Bool, Value::Bool(_)) | (Kind::Mapping, Value::Object(_)) => {}
        (_, Value::Null) => report.rejected(path, "is null; leave the field out"),
        (Kind::Annotations, Value::Object(entries)) => check_annotations(report, path, entries),
        (Kind::Cause(table), Value::Object(cause)) => check(report, path, cause, table),
        (Kind::Cause(_) | Kind::Reference, Value::String(id)) => check_reference(report, path, id),
        (Kind::Count, Value::Number(number)) if number.as_u64().is_none() => {
            report.warning(path, "is no count; leave it out when it is unknown");
        }
        (Kind::Count | Kind::Number, Value::Number(_)) => {}
        (Kind::Id, Value::String(id)) => {
            check_hex(report, path, id, forms::is_id(id), "16 hexadecimal digits");
        }
        (Kind::Integer, Value::Number(number)) if number.is_i64() => {}
        (Kind::Metadata, Value::Object(namespaces)) => check_metadata(report, path, namespaces),
        (Kind::Namespace, Value::String(namespace)) => check_namespace(report, path, namespace),
        (Kind::Object(table), Value::Object(object)) => check(report, path, object, table),
        (Kind::Objects(table), Value::Array(items)) => check_objects(report, path, items, table),
        (Kind::References | Kind::Texts, Value::Array(items)) => {
            let item = if matches!(kind, Kind::Texts) { Kind::Text(usize::MAX) } else { Kind::Reference };
            for (index, value) in items.iter().enumerate() {
                check_value(report, &format!("{path}[{index}]"), value, item);
            }
        }
        (Kind::SqlUrl, Value::String(url)) => {
            if !forms::is_sql_url(url) {
                report.rejected(path, "must have the form scheme://host/database for a collector");
            }
        }
        (Kind::Text(most), Value::String(string)) => {
            if string.chars().nth(most).is_some() {
                report.rejected(path, format!("is longer than {most} characters"));
            }
        }
        (Kind::TraceId, Value::String(id)) => {
            check_hex(report, path, id, forms::is_trace_id(id), "1-<8 hexadecimal digits>-<24 hexadecimal digits>");
        }
        _ => report.rejected(path, format!("must be {}, is {}", wanted(kind), found(value))),
    }
}

fn check_hex(report: &mut Report, path: &str, id: &str, valid: bool, form: &str) {
    if !valid {
        report.rejected(path, format!("must be {form}, is {}", text::quote(id)));
    } else if id.contains(|c: char| c.is_ascii_uppercase()) {
        report.warning(path, "has upper-case digits, which nobody else sends");
    } else if id.bytes().skip(2).all(|b| matches!(b, b'0' | b'-')) && id.starts_with(['0', '1']) {
        check_zero(report, path, id);
    }
}

/// Zeros alone mean "no id" to the W3C and to OpenTelemetry.
fn check_zero(report: &mut Report, path: &str, id: &str) {
    if id.len() == 35 || id.bytes().all(|b| b == b'0') {
        report.warning(path, "is all zero, which stands for no id");
    }
}

fn check_reference(report: &mut Report, path: &str, id: &str) {
    if id.chars().count() != 16 {
        report.rejected(path, format!("must be an id of 16 characters, is {}", text::quote(id)));
    } else if !forms::is_id(id) {
        report.warning(path, format!("should be 16 hexadecimal digits, is {}", text::quote(id)));
    }
}

fn check_namespace(report: &mut Report, path: &str, namespace: &str) {
    match namespace {
        "aws" | "remote" => {}
        "local" => report.warning(path, "is \"local\", which older collectors refuse; leave it out"),
        other => report.rejected(path, format!("must be \"aws\" or \"remote\", is {}", text::quote(other))),
    }
}

fn check_annotations(report: &mut Report, path: &str, entries: &Map<String, Value>) {
    for (key, value) in entries {
        let path = format!("{path}[{}]", text::quote(key));
        if !forms::is_annotation_key(key, ".") {
            report.rejected(&path, "has a key that is not 1 to 500 of A-Z a-z 0-9 _");
        } else if !forms::is_annotation_key(key, "") {
            report.warning(&path, "has a dot in its key, which AWS's schema does not know");
        }
        match value {
            Value::Bool(_) | Value::Number(_) => {}
            Value::String(string) if string.chars().nth(1000).is_none() => {}
            Value::String(_) => report.rejected(&path, "is longer than 1000 characters"),
            other => report.rejected(&path, format!("must be a string, a number or a boolean, is {}", found(other))),
        }
    }
}

fn check_metadata(report: &mut Report, path: &str, namespaces: &Map<String, Value>) {
    for (namespace, value) in namespaces {
        let path = format!("{path}[{}]", text::quote(namespace));
        if !value.is_object() {
            report.rejected(&path, format!("must be an object, is {}", found(value)));
        }
        if namespace.starts_with("AWS.") {
            report.warning(&path, "is a namespace that AWS keeps for itself");
        }
    }
}

fn check_objects(report: &mut Report, path: &str, items: &[Value], table: &[Field]) {
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match item {
            Value::Object(object) => check(report, &path, object, table),
            other => report.rejected(&path, format!("must be an object, is {}", found(other))),
        }
    }
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Any => "anything",
        Kind::Bool => "a boolean",
        Kind::Cause(_) => "an object or the id of an exception",
        Kind::Count | Kind::Number => "a number",
        Kind::Id | Kind::Namespace | Kind::Reference | Kind::SqlUrl | Kind::Text(_) | Kind::TraceId => "a string",
        Kind::Integer => "an integer",
        Kind::Annotations | Kind::Mapping | Kind::Metadata | Kind::Object(_) => "an object",
        Kind::Objects(_) => "an array of objects",
        Kind::References | Kind::Texts => "an array of strings",
    }
}
