//! Calls over real sockets, and the subsegments they leave.

mod connect;
mod counts;
mod edge;
mod ends;
mod hyper;
mod names;
mod reqwest;

use std::net::SocketAddr;

use axum::{Router, extract::Request, http::StatusCode, routing::get as route};
use tower_xray::document::SegmentDocument;

use crate::support::serve;

/// A service that answers with the tracing headers it has got; `/status/{code}` answers with that status.
async fn echo() -> SocketAddr {
    let headers = async |request: Request| {
        let header =
            |name| request.headers().get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>().join(",");
        format!("{}\n{}", header("x-amzn-trace-id"), header("traceparent"))
    };
    let status = async |axum::extract::Path(code): axum::extract::Path<u16>| StatusCode::from_u16(code).unwrap();
    serve(Router::new().route("/", route(headers).post(headers)).route("/status/{code}", route(status))).await
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The subsegments of a segment, a line each: name, method and URL, flags, whether it was cancelled, status and length, exceptions.
fn calls(segment: &SegmentDocument) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_str(&segment.to_json()).unwrap();
    let described = |call: &serde_json::Value| {
        let mut line = format!("{} {}", call["name"].as_str().unwrap(), call["namespace"].as_str().unwrap());
        line += &format!(" {} {}", text(&call["http"]["request"]["method"]), text(&call["http"]["request"]["url"]));
        for flag in ["error", "throttle", "fault", "traced"] {
            line += &call.get(flag).map_or(String::new(), |_| format!(" {flag}"));
        }
        if call["annotations"]["cancelled"] == true {
            line += " cancelled";
        }
        line += &format!(" {} {}", call["http"]["response"]["status"], call["http"]["response"]["content_length"]);
        for exception in call["cause"]["exceptions"].as_array().into_iter().flatten() {
            let remote = if exception["remote"] == true { "remote " } else { "" };
            line += &format!(" | {remote}{}: {}", text(&exception["type"]), text(&exception["message"]));
        }
        line
    };
    json["subsegments"].as_array().into_iter().flatten().map(described).collect()
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}
