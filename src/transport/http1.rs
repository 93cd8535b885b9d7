//! A small client for HTTP/1.1, by which central sampling rules are fetched.
//!
//! In: a request whose URI is a path, and limits. Out: the response with all of its body, or a typed failure. The client
//! uses no proxy, follows no redirect, judges no status, and keeps one connection. Of its own it adds only the headers
//! `host` and `content-length`.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::HOST};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    rt::{Read, ReadBufCursor, Write},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use super::Endpoint;

/// How long a request may take, and how much may come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the connection, including the lookup of a host name.
    pub(crate) connect: Duration,
    /// For everything, including the connection and the last byte of the body.
    pub(crate) total: Duration,
    /// For the body of the response, in bytes.
    pub(crate) body: usize,
}

/// Why a request has no response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// There was no connection within [`Limits::connect`].
    ConnectTimeout,
    /// The response was not complete within [`Limits::total`].
    Timeout,
    /// The connection was refused, or there is no way to the host.
    Unreachable(String),
    /// The connection ended too early, or what came back is not HTTP.
    Broken(String),
    /// The body exceeds [`Limits::body`].
    TooLarge,
}

/// Sends requests to one server.
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

    /// Sends a request. The connection is used again only if all went well.
    pub(crate) async fn send(
        &mut self,
        request: Request<impl Into<Bytes>>,
        limits: Limits,
    ) -> Result<Response<Bytes>, Failure> {
        let mut connection = self.connection.take();
        let exchange = exchange(&self.endpoint, &mut connection, request.map(|body| Full::new(body.into())), limits);
        let response = timeout(limits.total, exchange).await.map_err(|_| Failure::Timeout)??;
        self.connection = connection;
        Ok(response)
    }
}

async fn exchange(
    endpoint: &Endpoint,
    connection: &mut Option<Connection>,
    mut request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Response<Bytes>, Failure> {
    // A request that is signed names its host already.
    if !request.headers().contains_key(HOST) {
        let host = HeaderValue::try_from(endpoint.to_string()).map_err(Failure::broken)?;
        request.headers_mut().insert(HOST, host);
    }
    let (head, body) = send(endpoint, connection, request, limits).await?.into_parts();
    let body = Limited::new(body, limits.body)
        .collect()
        .await
        .map_err(|error| if error.is::<LengthLimitError>() { Failure::TooLarge } else { Failure::broken(error) })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// Sends on the connection that is there; if it was closed in the meantime, before anything was sent, on a new one.
async fn send(
    endpoint: &Endpoint,
    connection: &mut Option<Connection>,
    mut request: Request<Full<Bytes>>,
    limits: Limits,
) -> Result<Response<Incoming>, Failure> {
    if let Some(requests) = connection {
        if requests.ready().await.is_ok() {
            match requests.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failure::broken(error.into_error())),
                },
            }
        }
    }
    let connect = TcpStream::connect((endpoint.host(), endpoint.port()));
    let stream = timeout(limits.connect, connect).await.map_err(|_| Failure::ConnectTimeout)?;
    let stream = Stream(stream.map_err(|error| Failure::Unreachable(error.to_string()))?);
    let (requests, driver) = http1::handshake(stream).await.map_err(Failure::broken)?;
    // The caller of `send_request` is told what goes wrong.
    tokio::spawn(async { drop(driver.await) });
    connection.insert(requests).send_request(request).await.map_err(Failure::broken)
}

impl Failure {
    fn broken(why: impl fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectTimeout => "no connection in time",
            Self::Timeout => "no answer in time",
            Self::Unreachable(why) | Self::Broken(why) => why,
            Self::TooLarge => "length limit exceeded",
        })
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
