//! In: an entity as JSON: a segment or a subsegment. Out: one thing that it says.

use serde_json::Value;

pub(crate) fn is_in_progress(entity: &Value) -> bool {
    entity.get("in_progress") == Some(&Value::Bool(true)) && entity.get("end_time").is_none()
}

pub(crate) fn start(entity: &Value) -> Option<f64> {
    entity.get("start_time").and_then(Value::as_f64)
}

pub(crate) fn end(entity: &Value) -> Option<f64> {
    entity.get("end_time").and_then(Value::as_f64)
}

/// The text at the end of a path of keys.
pub(crate) fn string<'a>(entity: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(entity, |value, key| value.get(key))?.as_str()
}
