//! What a segment tells about its request: method, URL, client, user agent.
//!
//! Query strings, credentials and other headers are not recorded.

use std::{
    cell::OnceCell,
    fmt::Write,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderValue, Uri, request::Parts, uri::Authority};

use crate::{
    document::{Index, Tree},
    grpc,
    header::TraceHeader,
    sampling::without_port,
};

/// What was asked for.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// With its port.
    pub(super) host: Option<&'a str>,
    /// Also where a router has cut off what it has matched.
    pub(super) path: &'a str,
}

/// A request, and the first line of each of its headers that count here, found in one pass.
pub(super) struct Inbound<'a> {
    pub(super) parts: &'a Parts,
    target: OnceCell<Target<'a>>,
    host: Option<&'a HeaderValue>,
    traceparent: Option<&'a HeaderValue>,
    user_agent: Option<&'a HeaderValue>,
    x_amzn_trace_id: Option<&'a HeaderValue>,
    x_forwarded_for: Option<&'a HeaderValue>,
    x_forwarded_proto: Option<&'a HeaderValue>,
}

impl<'a> Inbound<'a> {
    pub(super) fn new(parts: &'a Parts) -> Self {
        let mut inbound = Self {
            parts,
            target: OnceCell::new(),
            host: None,
            traceparent: None,
            user_agent: None,
            x_amzn_trace_id: None,
            x_forwarded_for: None,
            x_forwarded_proto: None,
        };
        for (name, value) in &parts.headers {
            let place = match name.as_str() {
                "host" => &mut inbound.host,
                "traceparent" => &mut inbound.traceparent,
                "user-agent" => &mut inbound.user_agent,
                "x-amzn-trace-id" => &mut inbound.x_amzn_trace_id,
                "x-forwarded-for" => &mut inbound.x_forwarded_for,
                "x-forwarded-proto" => &mut inbound.x_forwarded_proto,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        inbound
    }

    /// What was asked for; many an unsampled request is never asked that.
    pub(super) fn target(&self) -> Target<'a> {
        *self.target.get_or_init(|| {
            let authority = self.parts.uri.authority().map(Authority::as_str);
            let authority = authority.or_else(|| std::str::from_utf8(self.host?.as_bytes()).ok());
            // Credentials may precede it.
            let host = authority.map(|authority| match authority.bytes().rposition(|byte| byte == b'@') {
                Some(at) => &authority[at + 1..],
                None => authority,
            });
            Target {
                host: host.filter(|host| !host.is_empty()),
                path: original_uri(self.parts).unwrap_or(&self.parts.uri).path(),
            }
        })
    }

    /// What the caller says about the trace.
    pub(super) fn trace_header(&self, traceparent: bool) -> Option<TraceHeader> {
        TraceHeader::from_values(self.x_amzn_trace_id, self.traceparent.filter(|_| traceparent))
    }

    /// The caller's header, if it names the trace as we would, and nothing else.
    pub(super) fn root_only(&self) -> Option<&'a HeaderValue> {
        self.x_amzn_trace_id.filter(|value| TraceHeader::is_root_only(value))
    }

    /// The method of gRPC, or the route that a router has matched, such as `/orders/{id}`.
    pub(super) fn route(&self) -> Option<&'a str> {
        let Parts { method, headers, .. } = self.parts;
        let grpc = grpc::Route::of(method, self.target().path, headers).map(|route| route.path);
        // What a router matches of gRPC is often the service only.
        grpc.or_else(|| matched_path(self.parts))
    }

    /// Describes the request at its segment.
    pub(super) fn describe(&self, tls: bool, forwarded_hops: Option<usize>, tree: &mut Tree, index: Index) {
        let method = tree.write_string(self.parts.method.as_str());
        let url = tree.write_with(|url| {
            let Target { host, path } = self.target();
            // RFC 9112, 3.3: the URL of `OPTIONS *` has no path.
            let path = Some(path).filter(|path| *path != "*").unwrap_or_default();
            for part in [self.scheme(tls), "://", host.unwrap_or("unknown"), path] {
                url.push_str(part);
            }
        });
        let user_agent = self.user_agent.map(|agent| match std::str::from_utf8(agent.as_bytes()) {
            Ok(agent) => tree.write_string(agent),
            Err(_) => tree.write_string(&String::from_utf8_lossy(agent.as_bytes())),
        });
        let forwarded = match forwarded_hops {
            None => self.x_forwarded_for.and_then(first_element),
            Some(hops) => self.forwarded_by(hops),
        };
        let forwarded = forwarded.map(without_its_port);
        let client_ip = match (forwarded, peer(self.parts)) {
            (Some(client), _) => Some(tree.write_string(client)),
            (None, Some(peer)) => Some(tree.write_with(|text| {
                // Writing to a string cannot fail.
                let _ = write!(text, "{peer}");
            })),
            (None, None) => None,
        };
        let http = &mut tree.node_mut(index).http;
        http.method = method;
        http.url = url;
        http.user_agent = user_agent.unwrap_or_default();
        http.client_ip = client_ip.unwrap_or_default();
        http.x_forwarded_for = forwarded.is_some();
    }

    /// What the load balancer says goes before what this service sees.
    fn scheme(&self, tls: bool) -> &'a str {
        let forwarded = self.x_forwarded_proto.and_then(first_element);
        match (forwarded, self.parts.uri.scheme_str()) {
            (Some(scheme), _) if scheme.eq_ignore_ascii_case("https") => "https",
            (Some(scheme), _) if scheme.eq_ignore_ascii_case("http") => "http",
            (_, Some(scheme)) => scheme,
            (_, None) if tls => "https",
            (_, None) => "http",
        }
    }

    /// The address that the outermost of so many proxies has appended. Nothing that a client sends moves it: each proxy
    /// appends one, to the last line or as a line of its own.
    fn forwarded_by(&self, hops: usize) -> Option<&'a str> {
        let lines = self.parts.headers.get_all("x-forwarded-for").iter().rev();
        let element = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).nth(hops.checked_sub(1)?)?;
        text(element)
    }
}

/// Some proxies add a port.
fn without_its_port(client: &str) -> &str {
    if !client.bytes().any(|byte| byte == b':') {
        return client;
    }
    match client.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(_)) => without_port(client),
        Ok(SocketAddr::V6(_)) => without_port(client).trim_matches(['[', ']']),
        Err(_) => client,
    }
}

fn first_element(list: &HeaderValue) -> Option<&str> {
    text(list.as_bytes().split(|byte| *byte == b',').next()?)
}

/// The text of an element of a list, unless that is empty.
fn text(element: &[u8]) -> Option<&str> {
    std::str::from_utf8(element.trim_ascii()).ok().filter(|element| !element.is_empty())
}

#[cfg(feature = "axum")]
fn original_uri(parts: &Parts) -> Option<&Uri> {
    parts.extensions.get::<axum::extract::OriginalUri>().map(|uri| &uri.0)
}

#[cfg(feature = "axum")]
fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
}

#[cfg(feature = "axum")]
fn matched_path(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
fn original_uri(_: &Parts) -> Option<&Uri> {
    None
}

#[cfg(not(feature = "axum"))]
fn peer(_: &Parts) -> Option<IpAddr> {
    None
}

#[cfg(not(feature = "axum"))]
fn matched_path(_: &Parts) -> Option<&str> {
    None
}
