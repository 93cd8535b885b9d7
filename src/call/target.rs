//! The URL of a call: what names it, what is recorded of it, and what is secret in it.
//!
//! In: the URI and the headers of a request. Out: its host, its URL without credentials and query, and these as texts
//! that no error may repeat.

use http::{HeaderMap, Uri, header::HOST, uri::Authority};

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    scheme: &'a str,
    /// With its port unless that is the default, without credentials; nothing if the request does not say where it goes.
    pub(super) authority: Option<&'a str>,
    path: &'a str,
}

impl<'a> Target<'a> {
    pub(super) fn new(uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let scheme = uri.scheme_str().unwrap_or("http");
        let authority = uri.authority().map(Authority::as_str);
        let authority = authority.or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let default_port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        let authority = authority.strip_suffix(default_port).unwrap_or(authority);
        Self { scheme, authority: Some(authority).filter(|authority| !authority.is_empty()), path: uri.path() }
    }

    pub(super) fn write_url(&self, url: &mut String) {
        for part in [self.scheme, "://", self.authority.unwrap_or("unknown"), self.path] {
            url.push_str(part);
        }
    }
}

/// Whether a URL has what errors must not repeat.
pub(super) fn is_secret(url: &Uri) -> bool {
    url.query().is_some() || url.authority().is_some_and(|host| host.as_str().contains('@'))
}

/// The texts that errors must not repeat.
pub(super) fn secrets(url: &Uri) -> Vec<String> {
    let query = url.query().filter(|query| !query.is_empty()).map(|query| format!("?{query}"));
    let credentials = url.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
    let credentials = credentials.map(|(credentials, _)| format!("{credentials}@"));
    [query, credentials].into_iter().flatten().collect()
}
