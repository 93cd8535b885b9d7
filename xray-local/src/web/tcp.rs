//! In: HTTP requests on a TCP socket. Out: what the daemon answers, as X-Ray would through its own daemon.

use std::convert::Infallible;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, net};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time;

/// More clients wait until one leaves.
const MOST_CONNECTIONS: usize = 64;

/// The largest request; a full one of the API has some kilobytes.
const MOST_BYTES: usize = 1 << 20;

/// How long a connection may be idle. Clients call every ten seconds.
const IDLE: Duration = Duration::from_secs(60);

/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// How long to wait when no connection can be accepted, for want of file descriptors perhaps.
const PAUSE: Duration = Duration::from_millis(100);

const NOT_FOUND: &str = "there is only POST /GetSamplingRules and POST /SamplingTargets";

/// Whoever answers the calls.
pub(crate) trait Calls: Send + Sync + 'static {
    /// Answers one call, or nothing if there is none at this path.
    fn call(&self, path: &str, request: &[u8]) -> Option<Result<Value, String>>;
}

/// A thread that answers; dropping it ends it and all connections.
#[derive(Debug)]
pub(crate) struct Server {
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(listener: net::TcpListener, calls: Arc<impl Calls>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let (started, has_started) = mpsc::sync_channel(1);
        // The runtime lives and ends in the thread, since the caller may have one already.
        let thread = thread::Builder::new().name("xray-local-tcp".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            runtime.block_on(async {
                match TcpListener::from_std(listener) {
                    Ok(listener) => drop(tokio::spawn(serve(listener, calls))),
                    Err(error) => return drop(started.send(Err(error))),
                }
                let _ = started.send(Ok(()));
                let _ = stopped.await;
            });
        })?;
        has_started.recv().unwrap_or_else(|_| Err(io::Error::other("the thread has ended")))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has ended it all the same.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, calls: Arc<impl Calls>) {
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            time::sleep(PAUSE).await;
            continue;
        };
        let calls = Arc::clone(&calls);
        tokio::spawn(async move {
            converse(stream, calls).await;
            drop(permit);
        });
    }
}

async fn converse(stream: TcpStream, calls: Arc<impl Calls>) {
    let answer = service_fn(|request| {
        let calls = Arc::clone(&calls);
        async move { Ok::<_, Infallible>(answer(request, &*calls).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), answer);
    // A client that leaves or speaks something else has its answer already, or wants none.
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, calls: &impl Calls) -> Response<Full<Bytes>> {
    let too_large =
        || refuse(StatusCode::PAYLOAD_TOO_LARGE, "InvalidRequestException", "the request has more than 1 MiB");
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > MOST_BYTES as u64 {
        return too_large();
    }
    let body = match time::timeout(ARRIVAL, Limited::new(body, MOST_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(),
        Ok(Err(error)) => return refuse(StatusCode::BAD_REQUEST, "InvalidRequestException", &error.to_string()),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", "the request took too long"),
    };
    let answered = if parts.method == Method::POST { calls.call(parts.uri.path(), &body) } else { None };
    match answered {
        Some(Ok(value)) => respond(StatusCode::OK, &value),
        Some(Err(message)) => refuse(StatusCode::BAD_REQUEST, "InvalidRequestException", &message),
        None => refuse(StatusCode::NOT_FOUND, "UnknownOperationException", NOT_FOUND),
    }
}

fn refuse(status: StatusCode, kind: &'static str, message: &str) -> Response<Full<Bytes>> {
    let mut response = respond(status, &json!({ "message": message }));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}

fn respond(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
