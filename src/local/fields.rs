//! In: an object of a document and the table of its fields. Out: what its values break, field by field.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::problem::Report;
use super::values;
use super::{forms, text};

/// What a field may hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Annotations,
    Any,
    Bool,
    Cause,
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
                values::check(report, &format!("{path}.{}", field.name), value, field.kind);
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
