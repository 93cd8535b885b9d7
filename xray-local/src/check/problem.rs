//! In: a finding of the checker. Out: a [`Problem`] that says where, what and how bad, safe to print.

use std::fmt;

use serde_json::Value;

use crate::text;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// Accepted by every reader, but untidy, lossy or at the edge of a limit.
    Warning,
    /// AWS's schema, its documented rules or an OpenTelemetry collector refuse the document.
    Rejected,
}

/// One thing that is wrong with a datagram or a document.
///
/// Text that comes from the document is escaped, so a problem is safe to print on a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    severity: Severity,
    document: Option<String>,
    path: String,
    message: String,
}

impl Problem {
    pub(crate) fn rejected(path: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Rejected, document: None, path: path.to_owned(), message: message.into() }
    }

    pub(crate) fn warning(path: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::rejected(path, message) }
    }

    /// Names the document, for readers of problems of several documents.
    pub(crate) fn in_document(self, name: &str) -> Self {
        Self { document: Some(text::fit(name, 60)), ..self }
    }

    /// Returns whether the document is refused, or merely untidy.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the name of the document, or the sender of the datagram, if a daemon found the problem.
    #[must_use]
    pub fn document(&self) -> Option<&str> {
        self.document.as_deref()
    }

    /// Returns its place, as a JSON path such as `$.subsegments[0].http.response.status`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns what is wrong there.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Rejected => "rejected",
        };
        write!(f, "{severity}: ")?;
        if let Some(document) = &self.document {
            write!(f, "{document}: ")?;
        }
        write!(f, "{} {}", self.path, self.message)
    }
}

impl std::error::Error for Problem {}

/// Where the checker writes what it finds; bounded, because a document can be wrong in 64,000 ways.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
}

impl Report {
    const MOST: usize = 100;

    pub(crate) fn rejected(&mut self, path: &str, message: impl Into<String>) {
        self.add(Problem::rejected(path, message));
    }

    pub(crate) fn warning(&mut self, path: &str, message: impl Into<String>) {
        self.add(Problem::warning(path, message));
    }

    fn add(&mut self, problem: Problem) {
        if self.problems.len() < Self::MOST {
            self.problems.push(problem);
        } else if problem.severity == Severity::Rejected {
            // A refusal is never lost behind a heap of warnings.
            let warning = |p: &Problem| p.severity == Severity::Warning;
            if let Some(at) = self.problems.iter().rposition(warning) {
                self.problems.remove(at);
                self.problems.push(problem);
            }
        }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// The value as a reader of the message wants to see it: scalars themselves, of others the kind.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(string) => text::quote(string),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
