//! The fields of spans and events.
//!
//! In: fields, as `tracing` visits them. Out: annotations, metadata, and what they say about failure.

use std::{
    error::Error,
    fmt::{self, Debug},
    panic::{self, AssertUnwindSafe},
};

use tracing::{
    Event,
    field::{Field, Visit},
};

use crate::{
    client::sql::Sql,
    document::{AnnotationValue, Description, MAX_MESSAGE, Namespace, bounded, limits::MAX_VALUE, message},
    entity::Entity,
};

/// The type of an exception of which only the text is known.
const ERROR: &str = "error";

/// How to record values that a span has by their `Debug` or `Display`: `?value`, `%value`, arguments of functions.
///
/// They are cut at 1,000 characters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum DebugValues {
    /// Annotations: traces can be searched by them.
    Annotation,
    /// Metadata in the namespace `default`: kept with the trace.
    #[default]
    Metadata,
    /// Nothing; they are not even written.
    Ignored,
}

/// The fields that have the text of a statement, by the conventions of OpenTelemetry, older and newer.
pub(super) const STATEMENT: [&str; 2] = ["db.statement", "db.query.text"];

/// By the same conventions, where it connects to; nobody knows whether a password is in it.
const CONNECTION_STRING: &str = "db.connection_string";

/// What a field is.
pub(super) enum Value<'a> {
    Scalar(AnnotationValue<'a>),
    Debug(&'a dyn Debug),
    Error(&'a (dyn Error + 'static)),
}

impl Value<'_> {
    /// As text of at most so many characters, if it is text or can be written as such.
    pub(super) fn text(&self, max: usize) -> Option<String> {
        match self {
            Self::Scalar(AnnotationValue::Text(text)) => Some(bounded(text, max)),
            Self::Scalar(_) => None,
            Self::Debug(value) => guarded(|| bounded(format_args!("{value:?}"), max)),
            Self::Error(error) => guarded(|| bounded(error, max)),
        }
    }

    /// Whether it is this word, by its text or by its `Debug`, in lower case or not.
    fn is(&self, word: &str) -> bool {
        self.text(MAX_VALUE).is_some_and(|text| text.trim_matches('"').eq_ignore_ascii_case(word))
    }
}

/// Calls a closure with the name and value of every field.
pub(super) struct Visitor<F>(pub(super) F);

impl<F: FnMut(&'static str, Value<'_>)> Visitor<F> {
    fn scalar<'a>(&mut self, field: &Field, value: impl Into<AnnotationValue<'a>>) {
        (self.0)(field.name(), Value::Scalar(value.into()));
    }
}

impl<F: FnMut(&'static str, Value<'_>)> Visit for Visitor<F> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.scalar(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.scalar(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.scalar(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.scalar(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.scalar(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.scalar(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.scalar(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        (self.0)(field.name(), Value::Error(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        (self.0)(field.name(), Value::Debug(value));
    }
}

/// Records a field of a span, unless it is about failure.
pub(super) fn record(entity: &Entity, debug_values: DebugValues, failure: &mut Failure, name: &str, value: &Value<'_>) {
    // Neither is recorded as it is.
    if STATEMENT.contains(&name) || name == CONNECTION_STRING || failure.take(name, value) {
        return;
    }
    match value {
        _ if name == "otel.kind" => {
            if value.is("client") || value.is("producer") {
                entity.set_namespace(Namespace::Remote);
            }
        }
        // The URLs in a text lose what may be secret, as those in messages do.
        Value::Scalar(AnnotationValue::Text(text)) if text.contains("://") => {
            entity.add_annotation(name, message(text));
        }
        Value::Scalar(value) => entity.add_annotation(name, value.clone()),
        Value::Debug(_) | Value::Error(_) if debug_values == DebugValues::Ignored => {}
        Value::Debug(_) | Value::Error(_) => {
            let Some(text) = value.text(MAX_MESSAGE).map(message) else { return };
            if debug_values == DebugValues::Annotation {
                entity.add_annotation(name, text);
            } else {
                entity.add_metadata(name, text);
            }
        }
    }
}

/// What fields say about failure.
#[derive(Default)]
pub(super) struct Failure {
    failed: bool,
    cause: Option<Description>,
}

impl Failure {
    /// That of an event which is an error.
    pub(super) fn of_event(event: &Event<'_>) -> Self {
        let (mut failure, mut message) = (Self::default(), None);
        event.record(&mut Visitor(|name, value: Value<'_>| {
            if !failure.take(name, &value) && name == "message" {
                message = describe(&value);
            }
        }));
        if let Some(mut said) = message {
            // What the event says is what the error has caused.
            said.exceptions.extend(failure.cause.into_iter().flat_map(|cause| cause.exceptions));
            failure.cause = Some(said);
        }
        failure.failed = true;
        failure
    }

    pub(super) fn of_panic() -> Self {
        Self { failed: true, cause: Some(Description::of_unknown_panic()) }
    }

    /// Takes a field, if it is about failure.
    fn take(&mut self, name: &str, value: &Value<'_>) -> bool {
        match (name, value) {
            ("error" | "err", Value::Scalar(AnnotationValue::Bool(failed))) => self.failed |= failed,
            // An `Option` of an error, by its `Debug`.
            ("error" | "err", Value::Debug(_)) if value.is("none") => {}
            ("error" | "err" | "exception.message" | "otel.status_description", _) => {
                self.failed = true;
                self.cause = describe(value).or(self.cause.take());
            }
            ("otel.status_code", _) => {
                self.failed |= value.is("error");
            }
            _ => return false,
        }
        true
    }

    pub(super) fn is_any(&self) -> bool {
        self.failed
    }

    /// Records it; `sql` is the database if it is the failure of a query.
    pub(super) fn record(self, entity: &Entity, sql: Option<&Sql>) {
        match (self.cause, sql) {
            (Some(cause), Some(sql)) => {
                entity.add_cause(|| cause.redact(sql.secrets()).with_remote(!sql.is_in_process()));
            }
            (Some(cause), None) => entity.add_cause(|| cause),
            (None, _) => {}
        }
        entity.set_fault();
    }
}

/// A value as a cause: the whole of it, since a part of a secret would not be known as one.
fn describe(value: &Value<'_>) -> Option<Description> {
    match value {
        Value::Error(error) => guarded(|| Description::of_error(*error, None, false)),
        Value::Debug(value) => guarded(|| Description::of_text(ERROR, DebugText(*value), false)),
        Value::Scalar(AnnotationValue::Text(text)) => Some(Description::of_text(ERROR, text, false)),
        Value::Scalar(_) => None,
    }
}

struct DebugText<'a>(&'a dyn Debug);

impl fmt::Display for DebugText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value that cannot be written down is not worth a panic.
fn guarded<T>(write: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(write)).ok()
}
