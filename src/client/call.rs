//! One call: the subsegment's owner, from the request to the end of the response's body.

use http::{HeaderMap, Method, StatusCode, Uri, header::HOST};

use super::layer::Settings;
use crate::{
    body::{Announced, Watch},
    document::{AsError, Description, Namespace},
    entity::{Entity, Subsegment},
    header::X_AMZN_TRACE_ID,
    w3c,
};

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
    /// Begins a call as part of `caller`, and writes its header; nothing if there is no caller.
    pub(super) fn begin(
        settings: &Settings,
        caller: &Entity,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
    ) -> Option<Self> {
        if caller.is_none() {
            settings.report_missing_context();
            return None;
        }
        let target = Target::new(uri, headers);
        let name = settings.name.as_deref().unwrap_or(target.name());
        let subsegment = caller.begin_subsegment_with(name, |tree, index| {
            let method = tree.write_string(method.as_str());
            let url = tree.write_with(|url| target.write_url(url));
            let node = tree.node_mut(index);
            node.namespace = Some(Namespace::Remote);
            node.http.method = method;
            node.http.url = url;
            node.http.traced = settings.traced;
        });
        if let Some(header) = subsegment.header() {
            // A header that was copied along from an inbound request would make the callee our sibling.
            headers.insert(&X_AMZN_TRACE_ID, header.to_header_value());
            let traceparent = Some(&header).filter(|_| settings.traceparent).and_then(w3c::format);
            if let Some(traceparent) = traceparent {
                headers.insert(&w3c::TRACEPARENT, traceparent);
            }
        }
        let is_secret = || uri.query().is_some() || uri.authority().is_some_and(|host| host.as_str().contains('@'));
        // It is large, and moves with the call.
        let secret_url = (subsegment.is_recorded() && is_secret()).then(|| Box::new(uri.clone()));
        Some(Self { subsegment: Some(subsegment), secret_url, responded: false, expected: None, received: 0 })
    }

    #[cfg(feature = "reqwest")]
    pub(super) fn is_recorded(&self) -> bool {
        self.subsegment.as_ref().is_some_and(|subsegment| subsegment.is_recorded())
    }

    /// There is a response.
    pub(super) fn respond(&mut self, status: StatusCode, headers: &HeaderMap) {
        let Some(subsegment) = &self.subsegment else { return };
        subsegment.set_status(status);
        let announced = Announced::by(headers);
        subsegment.set_grpc_status(announced.grpc_status);
        self.responded = true;
        self.expected = announced.content_length;
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

impl Watch for Call {
    const REMOTE: bool = true;

    fn entity(&self) -> Option<&Entity> {
        self.subsegment.as_ref().map(Subsegment::entity)
    }

    fn begin(&mut self) {}

    fn pass(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    fn trail(&mut self, trailers: &HeaderMap) {
        if let Some(subsegment) = &self.subsegment {
            subsegment.set_grpc_status(Announced::by(trailers).grpc_status);
        }
    }

    fn complete(&mut self) {
        let Some(subsegment) = self.subsegment.take() else { return };
        subsegment.set_content_length(self.expected.unwrap_or(self.received));
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

impl Drop for Call {
    fn drop(&mut self) {
        if self.responded {
            // Whoever has not read the body has seen what it wanted; how long it is, only its announcement tells.
            if let (Some(subsegment), Some(length)) = (self.subsegment.take(), self.expected) {
                subsegment.set_content_length(length);
            }
        } else {
            self.fail(|| Description::of_text("Cancelled", "the call was dropped before there was a response", false));
        }
    }
}

/// Whom a request goes to.
struct Target<'a> {
    scheme: &'a str,
    /// With its port unless that is the default, without credentials.
    authority: &'a str,
    path: &'a str,
}

impl<'a> Target<'a> {
    fn new(uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let scheme = uri.scheme_str().unwrap_or("http");
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let authority = authority.or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        let authority = authority.strip_suffix(default_port).unwrap_or(authority);
        Self { scheme, authority, path: uri.path() }
    }

    fn name(&self) -> &str {
        if self.authority.is_empty() { "unknown" } else { self.authority }
    }

    fn write_url(&self, url: &mut String) {
        for part in [self.scheme, "://", self.name(), self.path] {
            url.push_str(part);
        }
    }
}
