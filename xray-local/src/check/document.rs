//! In: one parsed document. Out: everything that AWS or a collector would refuse in it, and what is untidy.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::fields::{self, Kind};
use super::problem::{Problem, Report, found};
use super::{forms, tables};
use crate::{measure, text};

/// What fits into X-Ray's "64 kB" however it is read.
const MOST_BYTES: usize = 64_000;

/// What `serde_json` reads, so what this module promises to walk.
const MOST_LEVELS: usize = 128;

/// X-Ray indexes no more of them per trace.
const MOST_ANNOTATIONS: usize = 50;

/// From here on a number of seconds is one of milliseconds.
const MILLISECONDS: f64 = 1e11;

/// Where an entity stands; that decides which fields it needs and may have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    Segment,
    Independent,
    Embedded,
}

/// Checks a segment document or an independent subsegment.
///
/// Empty means that AWS's JSON schema, its documented rules and the OpenTelemetry collector all
/// accept the document, and that nothing in it is untidy. See [`Problem::severity`] for which is
/// which. Unknown fields are ignored, as all of these readers do.
///
/// ```
/// use serde_json::json;
/// use xray_local::{Severity, check_document};
///
/// let problems = check_document(&json!({
///     "name": "orders",
///     "id": "9f2c4b7a1e5d3086",
///     "trace_id": "1-68a1f0c4-7b3e9d215f80a6c4e2b71d09",
///     "start_time": 1755443396.1,
///     "end_time": 1755443396.3,
///     "http": { "response": { "status": "200" } },
/// }));
///
/// assert_eq!(problems.len(), 1);
/// assert_eq!(problems[0].path(), "$.http.response.status");
/// assert_eq!(problems[0].severity(), Severity::Rejected);
/// ```
#[must_use]
pub fn check_document(document: &Value) -> Vec<Problem> {
    let mut report = Report::default();
    let Value::Object(root) = document else {
        report.rejected("$", format!("must be an object, is {}", found(document)));
        return report.into_problems();
    };
    if measure::is_deeper_than(document, MOST_LEVELS) {
        report.rejected("$", format!("is nested deeper than {MOST_LEVELS} levels"));
        return report.into_problems();
    }

    let level = match root.get("type").and_then(Value::as_str) {
        Some("subsegment") => Level::Independent,
        _ => Level::Segment,
    };
    let mut ids = HashSet::new();
    let mut annotations = 0;
    let mut todo = vec![("$".to_owned(), root, level)];
    while let Some((path, entity, level)) = todo.pop() {
        check_entity(&mut report, &path, entity, level);
        check_ids(&mut report, &path, entity, &mut ids);
        annotations += entity.get("annotations").and_then(Value::as_object).map_or(0, Map::len);
        match entity.get("subsegments") {
            None => {}
            Some(Value::Array(children)) => {
                for (index, child) in children.iter().enumerate().rev() {
                    let path = format!("{path}.subsegments[{index}]");
                    match child {
                        Value::Object(child) => todo.push((path, child, Level::Embedded)),
                        other => report.rejected(&path, format!("must be an object, is {}", found(other))),
                    }
                }
            }
            Some(other) => {
                report.rejected(&format!("{path}.subsegments"), format!("must be an array, is {}", found(other)));
            }
        }
    }

    if annotations > MOST_ANNOTATIONS {
        report.warning("$", format!("has {annotations} annotations; X-Ray indexes {MOST_ANNOTATIONS} per trace"));
    }
    let bytes = measure::compact_len(document);
    if bytes > MOST_BYTES {
        report.warning("$", format!("has {bytes} bytes; X-Ray takes 64 kB"));
    }
    report.into_problems()
}

fn check_entity(report: &mut Report, path: &str, entity: &Map<String, Value>, level: Level) {
    fields::check(report, path, entity, tables::ENTITY);
    check_level(report, path, entity, level);
    if let Some(name) = entity.get("name").and_then(Value::as_str) {
        check_name(report, &format!("{path}.name"), name, level);
    }
    check_times(report, path, entity);
    if entity.get("inferred").is_some() {
        report.warning(path, "has `inferred`, which only X-Ray itself writes");
    }
    let preparation = entity.get("sql").and_then(|sql| sql.get("preparation")).and_then(Value::as_str);
    if preparation.is_some_and(|preparation| !matches!(preparation, "call" | "statement")) {
        report.warning(&format!("{path}.sql.preparation"), "should be \"call\" or \"statement\"");
    }
}

/// What is needed or out of place on this level only.
fn check_level(report: &mut Report, path: &str, entity: &Map<String, Value>, level: Level) {
    let trace_id = format!("{path}.trace_id");
    match (entity.get("trace_id"), level) {
        // The position names the trace; collectors still decode the field as a string.
        (Some(value), Level::Embedded) => {
            fields::check_value(report, &trace_id, value, Kind::Text(usize::MAX));
        }
        (Some(value), _) => fields::check_value(report, &trace_id, value, Kind::TraceId),
        (None, Level::Embedded) => {}
        (None, _) => report.rejected(path, "has no `trace_id`"),
    }
    if level == Level::Independent && !entity.contains_key("parent_id") {
        report.rejected(path, "has no `parent_id`, which a subsegment of its own needs");
    }
    if level == Level::Segment {
        for field in ["type", "namespace", "traced", "precursor_ids"] {
            if entity.contains_key(field) {
                report.warning(path, format!("has `{field}`, which belongs to subsegments"));
            }
        }
        return;
    }
    let request = entity.get("http").and_then(|http| http.get("request"));
    for field in ["client_ip", "x_forwarded_for"] {
        if request.is_some_and(|request| request.get(field).is_some()) {
            report.warning(&format!("{path}.http.request"), format!("has `{field}`, which belongs to segments"));
        }
    }
}

fn check_name(report: &mut Report, path: &str, name: &str, level: Level) {
    if name.is_empty() {
        report.rejected(path, "is empty");
        return;
    }
    // The schema is strict with the names of segments; for subsegments only the documentation is.
    let mut broken = |message: String| match level {
        Level::Segment => report.rejected(path, message),
        Level::Independent | Level::Embedded => report.warning(path, message),
    };
    if name.chars().nth(200).is_some() {
        broken("is longer than 200 characters".to_owned());
    }
    if let Some(odd) = name.chars().find(|c| !forms::is_name_char(*c)) {
        broken(format!("may not contain {}", text::quote(&odd.to_string())));
    } else if name.chars().any(|c| u32::from(c) > 0xffff) {
        report.warning(path, "has letters beyond U+FFFF, which AWS's schema does not know");
    }
}

fn check_times(report: &mut Report, path: &str, entity: &Map<String, Value>) {
    let in_progress = entity.get("in_progress") == Some(&Value::Bool(true));
    match (entity.contains_key("end_time"), in_progress) {
        (true, true) => report.rejected(path, "has both `end_time` and `in_progress`"),
        (false, false) => report.rejected(path, "has neither `end_time` nor `in_progress`"),
        _ => {}
    }
    for field in ["start_time", "end_time"] {
        let time = entity.get(field).and_then(Value::as_f64);
        if time.is_some_and(|time| !(0.0..MILLISECONDS).contains(&time)) {
            report.warning(&format!("{path}.{field}"), "is no time in seconds since 1970");
        }
    }
    let time = |field| entity.get(field).and_then(Value::as_f64);
    if let (Some(start), Some(end)) = (time("start_time"), time("end_time")) {
        if end < start {
            report.warning(&format!("{path}.end_time"), "is before `start_time`");
        }
    }
}

/// Ids are unique among the entities of a document, and so are those of exceptions.
fn check_ids<'a>(report: &mut Report, path: &str, entity: &'a Map<String, Value>, seen: &mut HashSet<&'a str>) {
    if let Some(id) = entity.get("id").and_then(Value::as_str) {
        if !seen.insert(id) {
            report.rejected(&format!("{path}.id"), format!("is {} again", text::quote(id)));
        }
    }
    let exceptions = entity.get("cause").and_then(|cause| cause.get("exceptions")).and_then(Value::as_array);
    for (index, exception) in exceptions.into_iter().flatten().enumerate() {
        if let Some(id) = exception.get("id").and_then(Value::as_str) {
            if !seen.insert(id) {
                let path = format!("{path}.cause.exceptions[{index}].id");
                report.warning(&path, format!("is {} again", text::quote(id)));
            }
        }
    }
}
