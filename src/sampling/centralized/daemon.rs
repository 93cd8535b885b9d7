//! The daemon's TCP side: JSON by POST, passed on to X-Ray.
//!
//! In: the path and the JSON of a call. Out: the JSON of the answer, or why there is none. The daemon signs what arrives
//! with all its headers and strips some afterwards, so there are only four.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::Value;

use crate::transport::{
    Endpoint,
    http1::{self, Client, Limits},
};

const LIMITS: Limits = Limits { connect: Duration::from_secs(1), total: Duration::from_secs(3), body: 1 << 20 };
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a call has no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The daemon has not answered: not reachable, too slow, or gone in the middle.
    Unanswered(http1::Failure),
    /// X-Ray or the daemon said no.
    Refused { status: StatusCode, reason: String },
    /// The answer makes no sense.
    Unreadable,
}

#[derive(Debug)]
pub(super) struct Daemon(Client);

impl Daemon {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self(Client::new(endpoint))
    }

    /// Sends a call.
    pub(super) async fn post(&mut self, path: &'static str, body: Vec<u8>) -> Result<Bytes, Failure> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(path);
        request.headers_mut().extend([(CONTENT_TYPE, JSON), (ACCEPT, JSON)]);
        let (head, body) = self.0.send(request, LIMITS).await.map_err(Failure::Unanswered)?.into_parts();
        if head.status == StatusCode::OK {
            Ok(body)
        } else {
            Err(Failure::Refused { status: head.status, reason: reason(&head.headers, &body) })
        }
    }
}

/// The type of an error, without what may follow a colon, and before a `#`; its message if it has no type.
fn reason(headers: &HeaderMap, body: &[u8]) -> String {
    let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let kind = header.or_else(|| field("__type")).or_else(|| field("code"));
    let kind =
        kind.map(|kind| kind.split(':').next().unwrap_or(kind)).map(|kind| kind.rsplit('#').next().unwrap_or(kind));
    kind.or_else(|| field("message")).or_else(|| field("Message")).unwrap_or_default().chars().take(200).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(failure) => failure.fmt(f),
            Self::Refused { status, reason } => write!(f, "{status} {reason}"),
            Self::Unreadable => f.write_str("an answer that makes no sense"),
        }
    }
}
