//! Whom a call goes to: what names its subsegment.

use http::{HeaderMap, Uri, header::HOST};

/// Whom a request goes to.
pub(super) struct Target<'a> {
    scheme: &'a str,
    /// With its port unless that is the default, without credentials; nothing if the request does not say where it goes.
    pub(super) authority: Option<&'a str>,
    path: &'a str,
}

impl<'a> Target<'a> {
    pub(super) fn new(uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let scheme = uri.scheme_str().unwrap_or("http");
        let authority = uri.authority().map(http::uri::Authority::as_str);
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
