//! A call while it runs.
//!
//! In: what is learned of a call that has begun, and how it ends. Out: its subsegment, closed once.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderValue, Uri};

use super::{Failure, target};
use crate::{
    classify::Class,
    document::{AsError, Description},
    entity::{Entity, Running, Subsegment, Work},
    grpc,
    header::{TraceHeader, X_AMZN_TRACE_ID},
    response_head::ResponseHead,
    w3c::{self, TRACEPARENT},
};

/// A call that has begun: owns its subsegment, which closes once.
///
/// It ends with [`end`](Self::end), [`fail`](Self::fail) or [`cancel`](Self::cancel). One that is dropped was abandoned,
/// which is the same as cancelled. Where nothing is recorded, all of this does nothing, and
/// [`write_header`](Self::write_header) still writes the decision that has been made.
#[derive(Default)]
#[must_use = "a call that is dropped was cancelled"]
pub struct Call {
    running: Running,
    secrets: Secrets,
}

/// What errors must not repeat. It is small, because it moves with the call.
#[derive(Default)]
enum Secrets {
    #[default]
    None,
    Texts(Arc<[String]>),
    /// Those of a URL with a query or credentials.
    Url(Box<Uri>),
}

impl Call {
    pub(super) const fn new(subsegment: Subsegment) -> Self {
        Self { running: Running::new(subsegment), secrets: Secrets::None }
    }

    pub(super) fn with_secrets(mut self, texts: Option<&Arc<[String]>>, url: Option<&Uri>) -> Self {
        self.secrets = match (texts.filter(|texts| !texts.is_empty()), url.filter(|url| target::is_secret(url))) {
            (None, None) => Secrets::None,
            (Some(texts), None) => Secrets::Texts(texts.clone()),
            (None, Some(url)) => Secrets::Url(Box::new(url.clone())),
            (Some(texts), Some(url)) => Secrets::Texts(texts.iter().cloned().chain(target::secrets(url)).collect()),
        };
        self
    }

    /// The entity of the call, to add annotations, metadata or fields of the `aws` object, or to begin subsegments.
    ///
    /// Returns nothing for a call that was made outside of any trace, or has ended.
    #[must_use]
    pub fn entity(&self) -> Option<&Entity> {
        self.running.entity()
    }

    /// Returns whether the call is recorded, so that it is worthwhile to learn more about it.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.entity().is_some_and(Entity::is_recorded)
    }

    /// The tracing header for the callee, also of a call that is not recorded.
    ///
    /// A message has it as a field: see [`TraceHeader::to_field`].
    #[must_use]
    pub fn header(&self) -> Option<TraceHeader> {
        self.entity().and_then(Entity::header)
    }

    /// Writes `X-Amzn-Trace-Id` into the headers of a request, in place of one that was copied along from an inbound
    /// request. Outside of any trace, and in headers that are full, it writes nothing.
    pub fn write_header(&self, headers: &mut HeaderMap) {
        insert(headers, &X_AMZN_TRACE_ID, self.header().map(|header| header.to_header_value()));
    }

    /// Writes `traceparent` into the headers of a request, for services that know W3C Trace Context only.
    pub fn write_traceparent(&self, headers: &mut HeaderMap) {
        insert(headers, &TRACEPARENT, self.header().and_then(|header| w3c::format(&header)));
    }

    /// Turns the call into local work: nothing is called after all, as for a request that is only presigned.
    pub fn make_local(self) -> Self {
        if let Some(entity) = self.entity() {
            entity.clear_namespace();
        }
        self
    }

    /// Records the status of the response, and how it counts.
    ///
    /// Pass [`Class::of_status`] of the status unless something else says how the call has ended, such as the error
    /// that an AWS service has answered with.
    pub fn set_status(&self, status: u16, class: Class) {
        if let Some(entity) = self.entity() {
            entity.set_status(status, class);
        }
    }

    /// Records the length of the response's body, in bytes.
    pub fn set_content_length(&self, bytes: u64) {
        if let Some(entity) = self.entity() {
            entity.set_content_length(bytes);
        }
    }

    /// Records the status of an HTTP response, and its gRPC status if it has one. Returns the length of the body that its
    /// headers announce.
    ///
    /// [`follow`](Self::follow) does this and more for a response whose body can be wrapped.
    #[expect(clippy::must_use_candidate, reason = "what it is for is what it records")]
    pub fn respond(&self, status: http::StatusCode, headers: &HeaderMap) -> Option<u64> {
        self.set_status(status.as_u16(), Class::of_status(status.as_u16()));
        let head = ResponseHead::of(headers);
        self.set_grpc_status(head.grpc);
        head.content_length
    }

    /// Records the gRPC status in the trailers of a response, if there is one.
    pub fn trailers(&self, trailers: &HeaderMap) {
        self.set_grpc_status(ResponseHead::of(trailers).grpc);
    }

    fn set_grpc_status(&self, status: Option<grpc::Status<'_>>) {
        if let (Some(status), Some(entity)) = (status, self.entity()) {
            entity.set_grpc_status(&status, |description| self.redact(description));
        }
    }

    /// Runs a part of the call with its entity as the current one: one poll of a future, or code that does not wait.
    ///
    /// # Panics
    ///
    /// When `work` does. The panic is recorded, and the call ends before the panic goes on.
    pub fn enter<T>(&mut self, work: impl FnOnce() -> T) -> T {
        Work::enter(self, work)
    }

    /// Runs all of a call that blocks. An `Err` is recorded as [`fail`](Self::fail) does, and passed on.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    ///
    /// # Panics
    ///
    /// When `work` does. The panic is recorded, and the call ends before the panic goes on.
    pub fn run_blocking<T, E: AsError<K>, K>(mut self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let result = self.enter(work);
        self.end_with(&result);
        result
    }

    /// Ends the call by its result: [`end`](Self::end) or [`fail`](Self::fail).
    pub fn end_with<T, E: AsError<K>, K>(self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.end(),
            Err(error) => self.fail(error),
        }
    }

    /// Ends the call: the callee has answered.
    #[inline]
    pub fn end(mut self) {
        self.running.end();
    }

    /// Ends the call as a fault, caused by this error and its chain of sources.
    ///
    /// They count as errors of the callee (`remote`), unless the call is local work.
    pub fn fail<E: AsError<K> + ?Sized, K>(self, error: &E) {
        self.fail_with(|| Failure::of(error));
    }

    /// Ends the call with a failure of any class. `describe` runs only if the call is recorded; a panic in it is
    /// contained.
    pub fn fail_with(mut self, describe: impl FnOnce() -> Failure) {
        let Some(subsegment) = self.running.end().filter(|subsegment| subsegment.is_recorded()) else { return };
        let mut class = Class::Fault;
        let is_call = subsegment.is_call();
        subsegment.add_cause(|| {
            let Failure { description, class: described, remote } = describe();
            class = described;
            self.redact(description).with_remote(remote.unwrap_or(is_call))
        });
        subsegment.classify(class);
    }

    /// Ends the call because nothing waits for it any more: its subsegment has the annotation `cancelled`.
    ///
    /// That is neither an error nor a fault: the callee may well have done its part.
    pub fn cancel(self) {}

    /// Gives up the call and returns its subsegment, which closes when it is dropped. Outside of any trace, it is one that
    /// records nothing.
    pub fn into_subsegment(mut self) -> Subsegment {
        self.running.end().unwrap_or_else(|| Entity::none().begin_subsegment(""))
    }

    /// An error may have a part of the URL that is not known as one: its path with the query, or its authority.
    fn redact(&self, description: Description) -> Description {
        match &self.secrets {
            Secrets::None => description,
            Secrets::Texts(texts) => description.redact(texts),
            Secrets::Url(url) => description.redact(&target::secrets(url)),
        }
    }
}

impl Work for Call {
    fn entity(&self) -> Option<&Entity> {
        self.running.entity()
    }

    fn fail(&mut self, describe: impl FnOnce() -> Description) {
        let Some(subsegment) = self.running.end() else { return };
        subsegment.add_cause(|| self.redact(describe()));
        subsegment.set_fault();
    }
}

impl fmt::Debug for Call {
    /// Without what errors must not repeat.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("entity", &self.entity()).finish_non_exhaustive()
    }
}

fn insert(headers: &mut HeaderMap, name: &http::HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        // Headers that are full stay as they are: a call is not refused for its trace.
        let _ = headers.try_insert(name, value);
    }
}
