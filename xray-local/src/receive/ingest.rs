//! In: a datagram and its sender. Out: an accepted document with warnings, or the problems that it is refused for.

use std::net::SocketAddr;

use serde_json::Value;

use super::datagram::check_datagram;
use crate::check::document::check_document;
use crate::check::problem::{Problem, Severity};

/// Checks a datagram and its document. Problems name the document, or the sender if there is no document.
pub(crate) fn ingest(datagram: &[u8], sender: SocketAddr) -> Result<(Value, Vec<Problem>), Vec<Problem>> {
    let document = check_datagram(datagram).map_err(|problem| vec![problem.in_document(&sender.to_string())])?;
    let name = document.get("name").and_then(Value::as_str).unwrap_or_default();
    let problems: Vec<Problem> =
        check_document(&document).into_iter().map(|problem| problem.in_document(name)).collect();
    if problems.iter().any(|problem| problem.severity() == Severity::Rejected) {
        Err(problems)
    } else {
        Ok((document, problems))
    }
}
