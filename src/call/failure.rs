//! Why a call has failed.
//!
//! In: an error, or a type and a message. Out: exceptions for the document, and the class that they count as.

use std::fmt;

use crate::{
    classify::Class,
    document::{AsError, Description},
};

/// Why a call has failed: exceptions, and how they count. See [`Call::fail_with`](super::Call::fail_with).
#[derive(Clone)]
#[must_use]
pub struct Failure {
    pub(super) description: Description,
    pub(super) class: Class,
    /// Whether another service has returned it, if that does not follow from the call.
    pub(super) remote: Option<bool>,
}

impl Failure {
    /// An error with its chain of sources: a fault, unless [`class`](Self::class) says something else.
    pub fn of<E: AsError<K> + ?Sized, K>(error: &E) -> Self {
        Self::from_description(Description::of_error(error.as_error(), E::type_name(), false))
    }

    /// An error of which only the text is known. The chain of a boxed error is kept.
    pub fn of_display<E: fmt::Display + 'static>(error: &E) -> Self {
        Self::from_description(Description::of_opaque(error, false))
    }

    /// A failure that the callee has reported by a type or code (250 characters) and a message (1,000 characters).
    pub fn new(type_name: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::from_description(Description::of_text(type_name.into(), message, false))
    }

    fn from_description(description: Description) -> Self {
        Self { description, class: Class::Fault, remote: None }
    }

    /// Sets the type of the outermost exception, where the error does not tell it.
    pub fn type_name(mut self, name: &'static str) -> Self {
        self.description.set_kind(name);
        self
    }

    /// Sets how the failure counts. The default is a fault.
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Says that the failure is not one that the callee has returned: a timeout, a connection, a request that cannot be
    /// built.
    pub fn local(mut self) -> Self {
        self.remote = Some(false);
        self
    }

    /// Says that the callee has returned the failure although the call is [local](super::CallBuilder::local) work: one
    /// attempt out of several, which is not a node of the service map.
    pub fn remote(mut self) -> Self {
        self.remote = Some(true);
        self
    }
}

impl fmt::Debug for Failure {
    /// Without messages: what is secret in them is known to the call only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("class", &self.class).field("remote", &self.remote).finish_non_exhaustive()
    }
}
