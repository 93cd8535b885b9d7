//! One call: the subsegment's owner, from the request to the end of the response's body.

use std::borrow::Cow;

use http::{Extensions, HeaderMap, Method, StatusCode, Uri};

use super::{SubsegmentName, layer::Settings, target::Target};
use crate::{
    body::BodyObserver,
    document::{AsError, Description, Namespace},
    entity::{Entity, Subsegment, Work},
    grpc,
    header::X_AMZN_TRACE_ID,
    response_head::ResponseHead,
    w3c,
};

/// What is known of a request. It is looked at only if the call is recorded.
pub(super) struct Outbound<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: Cow<'a, Uri>,
    pub(super) headers: &'a HeaderMap,
    pub(super) extensions: Option<&'a Extensions>,
}

#[derive(Debug)]
pub(super) struct Call {
    /// Taken when the call is over.
    subsegment: Option<Subsegment>,
    /// The URL, if it has what errors must not repeat: a query or credentials.
    secret_url: Option<Box<Uri>>,
    responded: bool,
    expected: Option<u64>,
    received: u64,
}

impl Call {
    /// Begins a call as part of `caller`; nothing if there is no caller.
    pub(super) fn begin<'a>(
        settings: &Settings,
        caller: &Entity,
        request: impl FnOnce() -> Outbound<'a>,
    ) -> Option<Self> {
        if caller.is_none() {
            settings.missing_context.report();
            return None;
        }
        let (subsegment, secret_url) = match caller.is_recorded() {
            true => Self::open(settings, caller, request()),
            false => (caller.begin_subsegment(""), None),
        };
        Some(Self { subsegment: Some(subsegment), secret_url, responded: false, expected: None, received: 0 })
    }

    fn open(settings: &Settings, caller: &Entity, request: Outbound<'_>) -> (Subsegment, Option<Box<Uri>>) {
        let Outbound { method, uri, headers, extensions } = request;
        let target = Target::new(&uri, headers);
        let grpc = grpc::Route::of(method, uri.path(), headers);
        let own = extensions.and_then(Extensions::get).map(SubsegmentName::as_str);
        // X-Ray knows a callee by its host, whatever it speaks; a tonic channel keeps that to itself.
        let known = own.or(settings.name.as_deref()).or(target.authority);
        let name = known.or(grpc.map(|grpc| grpc.service)).unwrap_or("unknown");
        let subsegment = caller.begin_subsegment_with(name, |tree, index| {
            let method = tree.write_string(method.as_str());
            let url = tree.write_with(|url| target.write_url(url));
            let node = tree.node_mut(index);
            node.namespace = Some(Namespace::Remote);
            node.http.method = method;
            node.http.url = url;
            node.http.traced = settings.traced;
            if let Some(route) = grpc {
                tree.annotate(index, "route", &route.path.into());
            }
        });
        let is_secret = uri.query().is_some() || uri.authority().is_some_and(|host| host.as_str().contains('@'));
        // It is large, and moves with the call.
        (subsegment, is_secret.then(|| Box::new(uri.into_owned())))
    }

    /// Writes the header that continues the trace.
    pub(super) fn write_header(&self, settings: &Settings, headers: &mut HeaderMap) {
        let Some(header) = self.entity().and_then(Entity::header) else { return };
        // A header that was copied along from an inbound request would make the callee our sibling.
        headers.insert(&X_AMZN_TRACE_ID, header.to_header_value());
        let traceparent = Some(&header).filter(|_| settings.traceparent).and_then(w3c::format);
        if let Some(traceparent) = traceparent {
            headers.insert(&w3c::TRACEPARENT, traceparent);
        }
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.subsegment.as_ref().is_some_and(|subsegment| subsegment.is_recorded())
    }

    /// There is a response.
    pub(super) fn respond(&mut self, status: StatusCode, headers: &HeaderMap) {
        let Some(subsegment) = &self.subsegment else { return };
        subsegment.set_status(status);
        let announced = ResponseHead::of(headers);
        self.note(announced.grpc);
        self.responded = true;
        self.expected = announced.content_length;
    }

    /// Notes what gRPC says about the outcome.
    fn note(&self, status: Option<grpc::Status<'_>>) {
        if let (Some(status), Some(subsegment)) = (status, &self.subsegment) {
            subsegment.set_grpc_status(&status, true, |description| self.redact(description));
        }
    }

    /// There is an error instead of a response.
    pub(super) fn fail_with<E: AsError<K>, K>(&mut self, error: &E) {
        self.fail(|| Description::of_error(error.as_error(), E::type_name(), true));
    }

    /// An error may have a part of the URL that is not known as one: its path with the query, or its authority.
    fn redact(&self, description: Description) -> Description {
        let Some(url) = &self.secret_url else { return description };
        let query = url.query().filter(|query| !query.is_empty()).map(|query| format!("?{query}"));
        let credentials = url.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
        let credentials = credentials.map(|(credentials, _)| format!("{credentials}@"));
        let secrets: Vec<String> = [query, credentials].into_iter().flatten().collect();
        description.without(&secrets)
    }
}

impl Work for Call {
    fn entity(&self) -> Option<&Entity> {
        self.subsegment.as_ref().map(Subsegment::entity)
    }

    fn fail(&mut self, describe: impl FnOnce() -> Description) {
        let Some(subsegment) = self.subsegment.take() else { return };
        subsegment.add_cause(|| self.redact(describe()));
        subsegment.set_fault();
        if self.responded {
            subsegment.set_content_length(self.received);
        }
    }
}

impl BodyObserver for Call {
    const REMOTE: bool = true;

    fn on_poll(&mut self) {}

    fn on_data(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        self.note(ResponseHead::of(trailers).grpc);
    }

    fn on_end(&mut self) {
        let Some(subsegment) = self.subsegment.take() else { return };
        subsegment.set_content_length(self.expected.unwrap_or(self.received));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.responded {
            // Whoever has not read the body has seen what it wanted; how long it is, only its announcement tells.
            if let (Some(subsegment), Some(length)) = (self.subsegment.take(), self.expected) {
                subsegment.set_content_length(length);
            }
        } else {
            self.fail(cancelled);
        }
    }
}

/// Why a call has no response that its caller did not wait for.
pub(super) fn cancelled() -> Description {
    Description::of_text("Cancelled", "the call was dropped before there was a response", false)
}
