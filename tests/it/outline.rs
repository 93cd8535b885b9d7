//! Documents as one line each, to be compared as a whole.

use std::collections::HashMap;

use serde_json::Value;
use tower_xray::document::SegmentDocument;

/// `segment(child(grandchild) other)`; `late < child` is a subsegment that travels by itself, below `child`.
///
/// `!` marks a fault and `?` an error. Brackets hold the chain of exceptions; `see child` refers to those of `child`.
pub(crate) fn outline(documents: &[SegmentDocument]) -> Vec<String> {
    let documents: Vec<Value> =
        documents.iter().map(|document| serde_json::from_str(&document.to_json()).unwrap()).collect();
    outline_json(&documents)
}

pub(crate) fn outline_json(documents: &[Value]) -> Vec<String> {
    let mut names = HashMap::new();
    for entity in entities(documents) {
        names.insert(text(entity, "id"), text(entity, "name"));
        for exception in exceptions(entity) {
            names.insert(text(exception, "id"), text(entity, "name"));
        }
    }
    let line = |document: &Value| {
        let mut line = String::new();
        write(document, &names, &mut line);
        if document.get("type").is_some() {
            line += " < ";
            line += names.get(text(document, "parent_id")).copied().unwrap_or("nobody");
        }
        line
    };
    documents.iter().map(line).collect()
}

/// Every entity of the documents, parents before their children.
pub(crate) fn entities(documents: &[Value]) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut pending: Vec<&Value> = documents.iter().rev().collect();
    while let Some(entity) = pending.pop() {
        found.push(entity);
        pending.extend(children(entity).rev());
    }
    found
}

/// The ids of every entity of the documents, each with that of its parent. No id stands twice.
pub(crate) fn parents(documents: &[Value]) -> HashMap<&str, &str> {
    let mut found = HashMap::new();
    let mut pending: Vec<(&Value, &str)> =
        documents.iter().map(|document| (document, text(document, "parent_id"))).collect();
    while let Some((entity, parent)) = pending.pop() {
        let id = text(entity, "id");
        assert_eq!(found.insert(id, parent), None, "{id} twice");
        pending.extend(children(entity).map(|child| (child, id)));
    }
    found
}

pub(crate) fn exceptions(entity: &Value) -> impl Iterator<Item = &Value> {
    entity["cause"]["exceptions"].as_array().into_iter().flatten()
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn children(entity: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    entity["subsegments"].as_array().into_iter().flatten()
}

fn write(entity: &Value, names: &HashMap<&str, &str>, line: &mut String) {
    let see = |id: &str| format!("see {}", names.get(id).copied().unwrap_or("nobody"));
    *line += text(entity, "name");
    *line += if entity["error"] == true { "?" } else { "" };
    *line += if entity["fault"] == true { "!" } else { "" };
    let described: Vec<&Value> = exceptions(entity).collect();
    let mut causes = Vec::new();
    for (position, exception) in described.iter().enumerate() {
        causes.push(format!("{}: {}", text(exception, "type"), text(exception, "message")));
        let next = described.get(position + 1).map_or("", |next| text(next, "id"));
        if let Some(cause) = exception["cause"].as_str().filter(|cause| *cause != next) {
            causes.push(see(cause));
        }
    }
    causes.extend(entity["cause"].as_str().map(see));
    if !causes.is_empty() {
        *line += &format!("[{}]", causes.join(" < "));
    }
    let mut below = Vec::new();
    for child in children(entity) {
        let mut text = String::new();
        write(child, names, &mut text);
        below.push(text);
    }
    if !below.is_empty() {
        *line += &format!("({})", below.join(" "));
    }
}
