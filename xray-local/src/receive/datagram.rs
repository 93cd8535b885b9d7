//! In: the bytes of one datagram. Out: the one document inside, parsed, or why a reader refuses it.

use serde_json::{Map, Value};

use crate::check::problem::{Problem, found};
use crate::text;

/// Opens a datagram by the rules of the X-Ray daemon, and parses the document by those of JSON.
///
/// The header is everything before the first newline: a JSON object whose `format` is `json` in
/// any case, and whose `version` is the integer 1. What follows is exactly one JSON object in
/// UTF-8. Whether that is a good segment document is for [`check_document`](crate::check_document).
///
/// # Errors
///
/// Returns the first reason for which the daemon or a collector would refuse the datagram.
///
/// ```
/// use xray_local::check_datagram;
///
/// let document = check_datagram(b"{\"format\":\"json\",\"version\":1}\n{\"name\":\"orders\"}").unwrap();
/// assert_eq!(document["name"], "orders");
///
/// let problem = check_datagram(b"{\"format\":\"json\",\"version\":2}\n{}").unwrap_err();
/// assert_eq!(problem.to_string(), "rejected: header.version must be the integer 1, is 2");
/// ```
pub fn check_datagram(datagram: &[u8]) -> Result<Value, Problem> {
    if datagram.is_empty() {
        return Err(Problem::rejected("datagram", "is empty"));
    }
    let Some(newline) = datagram.iter().position(|byte| *byte == b'\n') else {
        return Err(Problem::rejected("datagram", "has no newline between header and document"));
    };
    check_header(&datagram[..newline])?;

    let body = &datagram[newline + 1..];
    if body.is_empty() {
        return Err(Problem::rejected("datagram", "has no document after the header"));
    }
    let body = std::str::from_utf8(body).map_err(|error| Problem::rejected("$", format!("is no UTF-8: {error}")))?;
    let document: Value = serde_json::from_str(body).map_err(|error| {
        Problem::rejected("$", format!("is no JSON document: {}", text::fit(&error.to_string(), 100)))
    })?;
    if !document.is_object() {
        return Err(Problem::rejected("$", format!("must be an object, is {}", found(&document))));
    }
    Ok(document)
}

fn check_header(header: &[u8]) -> Result<(), Problem> {
    let header: Map<String, Value> = serde_json::from_slice(header).map_err(|error| {
        Problem::rejected("header", format!("is no JSON object: {}", text::fit(&error.to_string(), 100)))
    })?;
    let field = |name: &str| {
        // Go's decoder, which both readers use, finds keys ignoring case.
        let other_case = || header.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        header.get(name).or_else(other_case).unwrap_or(&Value::Null)
    };
    match field("format") {
        Value::String(format) if format.eq_ignore_ascii_case("json") => {}
        Value::String(format) => {
            return Err(Problem::rejected("header.format", format!("must be \"json\", is {}", text::quote(format))));
        }
        other => {
            return Err(Problem::rejected("header.format", format!("must be \"json\", is {}", found(other))));
        }
    }
    match field("version") {
        Value::Number(version) if version.as_i64() == Some(1) => Ok(()),
        other => Err(Problem::rejected("header.version", format!("must be the integer 1, is {}", found(other)))),
    }
}
