//! Errors and panics as the exceptions of a segment document.
//!
//! In: an error with its `source()` chain, or the payload of a panic. Out: descriptions bounded in number and length,
//! outermost first, each of which the next one caused.

use std::{
    any::Any,
    borrow::Cow,
    error::Error,
    fmt::{self, Write},
};

use super::{
    redact::{message, redact_secrets},
    stack::{self, Frame},
};
use crate::document::limits::MAX_STRING;

/// Exceptions kept of one chain; of a longer one, the last place goes to its root cause.
const MAX_CHAIN: usize = 32;
/// A chain is followed this far, in case it never ends.
const MAX_DEPTH: usize = 10_000;

/// The type of the exception that a panic becomes, and its message where the payload is out of reach.
const PANIC: &str = "panic";
const UNKNOWN_PANIC: &str = "the thread panicked";

/// A chain of exceptions that is not yet part of a document.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// Outermost first; never empty.
    pub(crate) exceptions: Vec<Exception>,
    /// Where the outermost was recorded; empty unless backtraces are on.
    pub(crate) stack: Vec<Frame>,
    /// Frames left out at the end of the stack.
    pub(crate) truncated: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) kind: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) remote: bool,
    /// Exceptions left out between this one and the next.
    pub(crate) skipped: u32,
}

impl Exception {
    /// Whether another entity, where it was described as this, has described the same.
    pub(crate) fn is_described_as(&self, kind: &str, message: &str) -> bool {
        self.message == message || (self.kind == PANIC && self.message == UNKNOWN_PANIC && kind == PANIC)
    }
}

impl Description {
    /// `kind` is the type of the error, if it is known; the types of its sources never are.
    pub(crate) fn of_error(error: &dyn Error, kind: Option<&'static str>, remote: bool) -> Self {
        let mut exceptions: Vec<Exception> = Vec::new();
        let chain = std::iter::successors(Some(error), |&error| error.source()).take(MAX_DEPTH);
        let mut root_cause = None;
        for (depth, error) in chain.enumerate() {
            if depth < MAX_CHAIN {
                let kind = kind.filter(|_| depth == 0).map_or_else(|| debug_name(error).into(), Cow::Borrowed);
                exceptions.push(Exception { kind, message: message(error), remote, skipped: 0 });
            } else {
                root_cause = Some((error, depth));
            }
        }
        if let (Some((error, depth)), Some(last)) = (root_cause, exceptions.last_mut()) {
            last.kind = debug_name(error).into();
            last.message = message(error);
            exceptions[MAX_CHAIN - 2].skipped = (depth + 1 - MAX_CHAIN) as u32;
        }
        Self { exceptions, stack: Vec::new(), truncated: 0 }
    }

    /// An error of which only the text is certain, and its sources if it is a box that is known.
    pub(crate) fn of_opaque<E: fmt::Display + 'static>(error: &E, remote: bool) -> Self {
        match (error as &dyn Any).downcast_ref::<Box<dyn Error + Send + Sync>>() {
            Some(boxed) => Self::of_error(&**boxed, None, remote),
            None => Self::of_text(std::any::type_name::<E>(), error, remote),
        }
    }

    pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (None, Some(text)) => text.as_str(),
            (None, None) => "a panic whose payload is not text",
        };
        Self::of_text(PANIC, message, false)
    }

    /// A panic of which only that it has happened is known: one that was caught has said more.
    pub(crate) fn of_unknown_panic() -> Self {
        Self::of_text(PANIC, UNKNOWN_PANIC, false)
    }

    pub(crate) fn of_text(kind: impl Into<Cow<'static, str>>, text: impl fmt::Display, remote: bool) -> Self {
        let exception = Exception { kind: kind.into(), message: message(text), remote, skipped: 0 };
        Self { exceptions: vec![exception], stack: Vec::new(), truncated: 0 }
    }

    /// Whether the exceptions are those of another service.
    pub(crate) fn with_remote(mut self, remote: bool) -> Self {
        for exception in &mut self.exceptions {
            exception.remote = remote;
        }
        self
    }

    /// Sets the type of the outermost exception.
    pub(crate) fn set_kind(&mut self, kind: &'static str) {
        if let Some(outermost) = self.exceptions.first_mut() {
            outermost.kind = Cow::Borrowed(kind);
        }
    }

    /// Leaves these texts out of every message, wherever they stand.
    pub(crate) fn redact(mut self, secrets: &[String]) -> Self {
        for Exception { message, .. } in &mut self.exceptions {
            redact_secrets(message, secrets);
        }
        self
    }

    /// Adds the stack of the caller, without the frames of this crate on top of it.
    pub(crate) fn with_stack(mut self) -> Self {
        (self.stack, self.truncated) = stack::capture();
        self
    }
}

/// The first name in an error's `Debug` text: the only trace of its type that a trait object leaves.
///
/// The text is not written any further: the rest may be long, or a backtrace that takes its time.
fn debug_name(error: &dyn Error) -> String {
    struct Name(String);

    impl Write for Name {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let room = MAX_STRING.saturating_sub(self.0.len());
            let name = part.chars().take(room).take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
            let before = self.0.len();
            self.0.extend(name);
            if self.0.len() - before < part.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut name = Name(String::new());
    // An error means that the name has ended.
    let _ = write!(name, "{error:?}");
    if name.0.is_empty() { "error".to_owned() } else { name.0 }
}
