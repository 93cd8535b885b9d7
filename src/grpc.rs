//! What gRPC says besides HTTP, for servers and clients alike.
//!
//! In: the heads of requests and responses, and trailers. Out: the method that is called, and how it has ended.

use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};

use crate::document::{Description, MAX_MESSAGE, limits::MAX_STRING};

/// The method that a request calls.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    /// `/package.Service/Method`.
    pub(crate) path: &'a str,
    /// `package.Service`.
    pub(crate) service: &'a str,
}

impl<'a> Route<'a> {
    /// What is called, if the request is one of gRPC and names it in the usual form.
    ///
    /// Callers choose the path, so it has to be as long as other text of a document at most, and out of characters that
    /// names of methods have.
    pub(crate) fn of(method: &Method, path: &'a str, headers: &HeaderMap) -> Option<Self> {
        const GRPC: &[u8] = b"application/grpc";
        // gRPC over HTTP/2: requests are POST, and their content type begins like this, in lower case or not.
        if method != Method::POST || path.len() > MAX_STRING {
            return None;
        }
        let content_type = headers.get(CONTENT_TYPE)?.as_bytes().get(..GRPC.len())?;
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        let is_name = |text: &str| {
            let legible = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            !text.is_empty() && text.bytes().all(legible)
        };
        let known = content_type.eq_ignore_ascii_case(GRPC) && is_name(service) && is_name(name);
        known.then_some(Self { path, service })
    }
}

/// How a call has ended: what its trailers say, or its headers if there is nothing else to send.
#[derive(Clone, Copy)]
pub(crate) struct Status<'a> {
    pub(crate) code: Code,
    message: Option<&'a HeaderValue>,
}

impl<'a> Status<'a> {
    pub(crate) fn new(code: u32, message: Option<&'a HeaderValue>) -> Self {
        Self { code: Code(code), message }
    }

    /// The message of a call that has failed, as an exception.
    pub(crate) fn description(&self, remote: bool) -> Option<Description> {
        let message = self.message.filter(|message| !message.is_empty() && self.code != Code::OK)?;
        Some(Description::of_text(self.code.name(), decode(message.as_bytes()), remote))
    }
}

/// The number of a status.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Code(pub(crate) u32);

impl Code {
    pub(crate) const OK: Self = Self(0);

    /// As gRPC writes it. A number that it does not know counts as `UNKNOWN`.
    fn name(self) -> &'static str {
        const NAMES: [&str; 17] = [
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        ];
        NAMES.get(self.0 as usize).copied().unwrap_or(NAMES[2])
    }
}

/// Undoes the percent-encoding of a message, as far as anything of it will be kept.
fn decode(message: &[u8]) -> String {
    // A byte takes three when it is encoded.
    let mut rest = &message[..message.len().min(3 * MAX_MESSAGE)];
    let mut decoded = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
