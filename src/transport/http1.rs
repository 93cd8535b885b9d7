//! Calls to the daemon's TCP side: plain HTTP/1.1 on one connection that is kept.
//!
//! The daemon signs what arrives with all its headers and strips some afterwards, so there are only four.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    rt::{Read, ReadBufCursor, Write},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use super::Endpoint;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_BODY: usize = 1 << 20;
const JSON: &str = "application/json";

/// Why a call has no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// Nobody has answered: not reachable, too slow, or gone in the middle.
    Unanswered(String),
    /// X-Ray or the daemon said no.
    Refused { status: StatusCode, reason: String },
    /// The answer makes no sense.
    Unreadable,
}

#[derive(Debug)]
pub(crate) struct Client {
    endpoint: Endpoint,
    connection: Option<Connection>,
}

/// Its task ends when it is dropped.
type Connection = SendRequest<Full<Bytes>>;

impl Client {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, connection: None }
    }

    /// Sends a call. The connection is used again only if all went well.
    pub(crate) async fn post(&mut self, path: &'static str, body: Vec<u8>) -> Result<Bytes, Failure> {
        let mut connection = self.connection.take();
        let call = Self::call(&self.endpoint, &mut connection, path, body);
        let (head, body) =
            timeout(TOTAL_TIMEOUT, call).await.map_err(|_| Failure::unanswered("no answer in time"))??;
        self.connection = connection;
        if head.status == StatusCode::OK {
            Ok(body)
        } else {
            Err(Failure::Refused { status: head.status, reason: reason(&head.headers, &body) })
        }
    }

    async fn call(
        endpoint: &Endpoint,
        connection: &mut Option<Connection>,
        path: &'static str,
        body: Vec<u8>,
    ) -> Result<(http::response::Parts, Bytes), Failure> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static(path);
        let host = endpoint.to_string().try_into().map_err(Failure::unanswered)?;
        let json = http::HeaderValue::from_static(JSON);
        request.headers_mut().extend([(HOST, host), (CONTENT_TYPE, json.clone()), (ACCEPT, json)]);

        let (head, body) = send(endpoint, connection, request).await?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(Failure::unanswered)?;
        Ok((head, body.to_bytes()))
    }
}

/// Sends on the connection that is there; if it was closed in the meantime, before anything was sent, on a new one.
async fn send(
    endpoint: &Endpoint,
    connection: &mut Option<Connection>,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    if let Some(requests) = connection {
        if requests.ready().await.is_ok() {
            match requests.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failure::unanswered(error.into_error())),
                },
            }
        }
    }
    let connect = TcpStream::connect((endpoint.host(), endpoint.port()));
    let stream = timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| Failure::unanswered("no connection in time"))?;
    let stream = Stream(stream.map_err(Failure::unanswered)?);
    let (requests, driver) = http1::handshake(stream).await.map_err(Failure::unanswered)?;
    // What goes wrong is told to whoever has sent the request.
    tokio::spawn(async { drop(driver.await) });
    connection.insert(requests).send_request(request).await.map_err(Failure::unanswered)
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

impl Failure {
    fn unanswered(why: impl fmt::Display) -> Self {
        Self::Unanswered(why.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(why) => f.write_str(why),
            Self::Refused { status, reason } => write!(f, "{status} {reason}"),
            Self::Unreadable => f.write_str("an answer that makes no sense"),
        }
    }
}

/// A TCP stream of tokio's, as hyper reads and writes it.
struct Stream(TcpStream);

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 4096];
        let room = buf.remaining().min(bytes.len());
        let mut read = ReadBuf::new(&mut bytes[..room]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut read))?;
        buf.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
