//! The `aws` object: what is known about a call to AWS, and about where a segment runs.
//!
//! In: any key and value. Out: a key in X-Ray's snake case, and a value of the type that collectors want for it; for
//! another one they would refuse the whole document.

use std::borrow::Cow;

use super::{annotation::AnnotationValue, limits::MAX_STRING};

/// Objects that say where a segment runs. What has such a key is called otherwise.
const OBJECTS: [&str; 7] = ["cloudwatch_logs", "ec2", "ecs", "eks", "elastic_beanstalk", "tracing", "xray"];

/// X-Ray segment documents: these are strings, and [`LISTS`] are lists of strings.
const TEXTS: [&str; 6] = ["account_id", "operation", "queue_url", "region", "request_id", "table_name"];
const LISTS: [&str; 2] = ["resource_names", "table_names"];
const INTEGER: &str = "retries";

/// Any text as a key: `TableName` and `table-name` are `table_name`.
pub(super) fn sanitize_key(key: &str) -> Cow<'_, str> {
    let is_kept = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_fine = !key.is_empty() && key.len() <= MAX_STRING && key.bytes().all(is_kept) && !OBJECTS.contains(&key);
    if is_fine {
        return Cow::Borrowed(key);
    }
    let mut sanitized = String::with_capacity(key.len().min(MAX_STRING) + 8);
    let mut before = '_';
    let mut chars = key.chars().peekable();
    while let Some(c) = chars.next().filter(|_| sanitized.len() < MAX_STRING - 1) {
        let begins_word = before.is_ascii_lowercase() || before.is_ascii_digit();
        let ends_capitals = before.is_ascii_uppercase() && chars.peek().is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (begins_word || ends_capitals) {
            sanitized.push('_');
        }
        sanitized.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
        before = c;
    }
    if sanitized.is_empty() || OBJECTS.contains(&&*sanitized) {
        sanitized.push('_');
    }
    Cow::Owned(sanitized)
}

/// A value as its key wants it; nothing if that is impossible.
pub(super) fn sanitize_value<'a>(key: &str, value: AnnotationValue<'a>) -> Option<AnnotationValue<'a>> {
    match value {
        AnnotationValue::Float(value) if !value.is_finite() => None,
        AnnotationValue::Integer(_) if key == INTEGER => Some(value),
        _ if key == INTEGER => None,
        _ if !TEXTS.contains(&key) && !is_list(key) => Some(value),
        AnnotationValue::Bool(value) => Some(value.to_string().into()),
        AnnotationValue::Float(value) => Some(value.to_string().into()),
        AnnotationValue::Integer(value) => Some(value.to_string().into()),
        AnnotationValue::Text(_) => Some(value),
    }
}

/// Whether the value of a key is written as a list.
pub(super) fn is_list(key: &str) -> bool {
    LISTS.contains(&key)
}
