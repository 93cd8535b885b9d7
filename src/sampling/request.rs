//! What a strategy may ask about a request.
//!
//! In: the name of a segment, and what the request line says. Out: the argument of a decision, with its time and its
//! random number.

use std::time::Duration;

/// What is known about a segment when it begins.
///
/// Segments that are not begun by an HTTP request have no host, method and path, and match only rules that leave
/// these open.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SamplingRequest<'a> {
    /// The name of the segment.
    pub service_name: &'a str,
    /// The `Host` header or `:authority`, with its port.
    pub host: Option<&'a str>,
    /// The method.
    pub http_method: Option<&'a str>,
    /// The path, without the query string.
    pub url_path: Option<&'a str>,
    /// Now, since the Unix epoch.
    pub now: Duration,
    /// A random number in `[0, 1)`.
    pub random: f64,
}

impl<'a> SamplingRequest<'a> {
    /// Describes a segment of which only the name is known, at this time and with this random number in `[0, 1)`.
    #[must_use]
    pub const fn new(service_name: &'a str, now: Duration, random: f64) -> Self {
        Self { service_name, host: None, http_method: None, url_path: None, now, random }
    }

    /// Sets the host, with or without a port.
    #[must_use]
    pub const fn host(mut self, host: &'a str) -> Self {
        self.host = Some(host);
        self
    }

    /// Sets the method.
    #[must_use]
    pub const fn http_method(mut self, method: &'a str) -> Self {
        self.http_method = Some(method);
        self
    }

    /// Sets the path, without a query string.
    #[must_use]
    pub const fn url_path(mut self, path: &'a str) -> Self {
        self.url_path = Some(path);
        self
    }
}
