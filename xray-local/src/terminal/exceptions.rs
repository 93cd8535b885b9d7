//! In: the cause of an entity. Out: its exceptions as an indented chain, innermost last.

use std::collections::{HashMap, HashSet};

use anstyle::Style;
use serde_json::Value;

use super::describe::State;
use crate::model::entity::string;
use crate::model::forest::Forest;

/// More of them for one entity are only counted.
const MOST_EXCEPTIONS: usize = 8;

/// More of them for one exception are only counted.
const MOST_FRAMES: usize = 3;

/// A line as pieces of text, each with a style, before it is cut to the width.
pub(super) type Pieces = Vec<(Style, String)>;

/// Who recorded which exception.
#[derive(Debug)]
pub(super) struct Recorded<'a>(HashMap<&'a str, &'a Value>);

impl<'a> Recorded<'a> {
    pub(super) fn of(forest: &Forest<'a>) -> Self {
        let ids = forest.nodes.iter().flat_map(|node| {
            exceptions(node.entity).filter_map(move |exception| Some((string(exception, &["id"])?, node.entity)))
        });
        Self(ids.collect())
    }

    /// The lines below an entity that tell why it failed.
    pub(super) fn lines(&self, forest: &Forest<'a>, entity: &'a Value) -> Vec<Pieces> {
        let Some(cause) = entity.get("cause") else {
            return Vec::new();
        };
        if let Some(id) = cause.as_str() {
            return vec![self.reference("✗ ", id)];
        }
        let mut lines = Vec::new();
        let chains = chains(entity);
        for (depth, exception) in chains.iter().take(MOST_EXCEPTIONS) {
            self.exception(&mut lines, *depth, exception, &chains);
        }
        if chains.len() > MOST_EXCEPTIONS {
            lines.push(vec![(Style::new().dimmed(), format!("  … {} more", chains.len() - MOST_EXCEPTIONS))]);
        }
        // The SDK for Node names the subsegment that failed where an exception would be described.
        let child = string(cause, &["id"]).and_then(|id| forest.find(id));
        if let (true, Some(child)) = (lines.is_empty(), child) {
            lines.push(see("✗ ", forest.nodes[child].entity));
        }
        lines
    }

    fn exception(&self, lines: &mut Vec<Pieces>, depth: usize, exception: &Value, chains: &[(usize, &Value)]) {
        let dim = Style::new().dimmed();
        let red = State::Fault.style();
        let text = |key| string(exception, &[key]).unwrap_or_default();
        let opening = if depth == 0 { (red, "✗ ".to_owned()) } else { (dim, "  caused by ".to_owned()) };
        let (kind, message) = match (text("type"), text("message")) {
            ("", "") => ("", "exception without type and message"),
            both => both,
        };
        let colon = if kind.is_empty() || message.is_empty() { "" } else { ": " };
        let remote = if exception.get("remote") == Some(&Value::Bool(true)) { "  (remote)" } else { "" };
        lines.push(vec![
            opening,
            (red.bold(), kind.to_owned()),
            (Style::new(), format!("{colon}{message}")),
            (dim, remote.to_owned()),
        ]);

        let stack = exception.get("stack").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        lines.extend(stack.iter().take(MOST_FRAMES).map(|frame| vec![(dim, format!("    {}", describe_frame(frame)))]));
        if stack.len() > MOST_FRAMES {
            lines.push(vec![(dim, format!("    … {} more", stack.len() - MOST_FRAMES))]);
        }

        let is_here = |id: &str| chains.iter().any(|(_, other)| string(other, &["id"]) == Some(id));
        if let Some(cause) = string(exception, &["cause"]).filter(|id| !is_here(id)) {
            lines.push(self.reference("  caused by ", cause));
        }
    }

    fn reference(&self, opening: &str, id: &str) -> Pieces {
        match self.0.get(id) {
            Some(entity) => see(opening, entity),
            None => vec![(Style::new().dimmed(), format!("{opening}see exception {id}"))],
        }
    }
}

fn see(opening: &str, entity: &Value) -> Pieces {
    let name = string(entity, &["name"]).unwrap_or_default();
    vec![
        (State::Fault.style(), opening.to_owned()),
        (Style::new().dimmed(), "see ".to_owned()),
        (Style::new(), name.to_owned()),
    ]
}

fn describe_frame(frame: &Value) -> String {
    let text = |key| string(frame, &[key]).unwrap_or_default();
    let line = frame.get("line").and_then(Value::as_i64);
    let place = line.map_or_else(|| text("path").to_owned(), |line| format!("{}:{line}", text("path")));
    match text("label") {
        "" => format!("at {place}"),
        label => format!("at {label} ({place})"),
    }
}

fn exceptions(entity: &Value) -> impl Iterator<Item = &Value> {
    entity.get("cause").and_then(|cause| cause.get("exceptions")).and_then(Value::as_array).into_iter().flatten()
}

/// The exceptions of an entity, each followed by the one that caused it; with its depth in the chain.
fn chains(entity: &Value) -> Vec<(usize, &Value)> {
    fn id(exception: &Value) -> Option<&str> {
        string(exception, &["id"])
    }

    let by_id: HashMap<&str, &Value> = exceptions(entity).filter_map(|e| Some((id(e)?, e))).collect();
    let causes: HashSet<&str> = exceptions(entity).filter_map(|e| string(e, &["cause"])).collect();
    let is_cause = |exception: &&Value| id(exception).is_some_and(|id| causes.contains(id));
    // Causes of causes in a circle have no first one; they come last, as they stand.
    let firsts = exceptions(entity).filter(|e| !is_cause(e)).chain(exceptions(entity).filter(is_cause));

    let mut seen = HashSet::new();
    let mut chains = Vec::new();
    for first in firsts {
        let mut next = Some(first);
        let mut depth = 0;
        while let Some(exception) = next.filter(|e| seen.insert(std::ptr::from_ref(*e))) {
            chains.push((depth, exception));
            depth += 1;
            next = string(exception, &["cause"]).and_then(|id| by_id.get(id).copied());
        }
    }
    chains
}
