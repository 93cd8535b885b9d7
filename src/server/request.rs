//! What a segment tells about its request: method, URL, client, user agent.
//!
//! Query strings, credentials and other headers are not recorded.

use std::net::{IpAddr, SocketAddr};

use http::{
    HeaderMap, HeaderName, Uri,
    header::{HOST, USER_AGENT},
    request::Parts,
};

use crate::{
    document::{Index, Tree},
    sampling::without_port,
};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The host that was asked for, with its port.
pub(super) fn host(parts: &Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| text(&parts.headers, &HOST))?;
    // Credentials may precede it.
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Some(host).filter(|host| !host.is_empty())
}

/// The path that was asked for, also where a router has cut off what it has matched.
pub(super) fn path(parts: &Parts) -> &str {
    original_uri(parts).unwrap_or(&parts.uri).path()
}

/// Describes the request at its segment.
pub(super) fn describe(parts: &Parts, tls: bool, tree: &mut Tree, index: Index) {
    let method = tree.write_string(parts.method.as_str());
    let url = tree.write_with(|url| {
        url.push_str(scheme(parts, tls));
        url.push_str("://");
        url.push_str(host(parts).unwrap_or("unknown"));
        url.push_str(path(parts));
    });
    let user_agent = match parts.headers.get(&USER_AGENT) {
        Some(agent) => tree.write_string(&String::from_utf8_lossy(agent.as_bytes())),
        None => Default::default(),
    };
    let forwarded = forwarded_for(&parts.headers);
    let client_ip = match (forwarded, peer(parts)) {
        (Some(client), _) => tree.write_string(client),
        (None, Some(peer)) => tree.write_with(|text| {
            // Writing to a string cannot fail.
            let _ = std::fmt::Write::write_fmt(text, format_args!("{peer}"));
        }),
        (None, None) => Default::default(),
    };
    let http = &mut tree.node_mut(index).http;
    http.method = method;
    http.url = url;
    http.user_agent = user_agent;
    http.client_ip = client_ip;
    http.x_forwarded_for = forwarded.is_some();
}

/// What the load balancer says goes before what this service sees.
fn scheme(parts: &Parts, tls: bool) -> &str {
    let forwarded = text(&parts.headers, &X_FORWARDED_PROTO).map(first_element);
    match (forwarded, parts.uri.scheme_str()) {
        (Some(scheme), _) if scheme.eq_ignore_ascii_case("https") => "https",
        (Some(scheme), _) if scheme.eq_ignore_ascii_case("http") => "http",
        (_, Some(scheme)) => scheme,
        (_, None) if tls => "https",
        (_, None) => "http",
    }
}

/// The first address: the client, if every proxy on the way is honest. Some proxies add a port, which is left out.
fn forwarded_for(headers: &HeaderMap) -> Option<&str> {
    let client = first_element(text(headers, &X_FORWARDED_FOR)?);
    if client.is_empty() {
        return None;
    }
    if !client.contains(':') {
        return Some(client);
    }
    Some(match client.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(_)) => without_port(client),
        Ok(SocketAddr::V6(_)) => without_port(client).trim_matches(['[', ']']),
        Err(_) => client,
    })
}

fn first_element(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}

#[cfg(feature = "axum")]
fn original_uri(parts: &Parts) -> Option<&Uri> {
    parts.extensions.get::<axum::extract::OriginalUri>().map(|uri| &uri.0)
}

#[cfg(not(feature = "axum"))]
fn original_uri(_: &Parts) -> Option<&Uri> {
    None
}

#[cfg(feature = "axum")]
fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
}

#[cfg(not(feature = "axum"))]
fn peer(_: &Parts) -> Option<IpAddr> {
    None
}

/// The route that a router has matched, such as `/orders/{id}`.
#[cfg(feature = "axum")]
pub(super) fn route(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
pub(super) fn route(_: &Parts) -> Option<&str> {
    None
}
