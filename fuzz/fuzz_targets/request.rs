//! Whatever request comes in, and whatever call goes out because of it: the document is valid and bounded, belongs to
//! the trace of the caller, and tells no secret.

#![no_main]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use arbitrary::Arbitrary;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE},
};
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_service::Service;
use tower_xray::{
    TraceHeader, XRayClientLayer, XRayLayer,
    header::{MAX_LEN, SamplingDecision, X_AMZN_TRACE_ID},
    server::{Naming, Trust},
    w3c::{self, TRACEPARENT},
};
use tower_xray_fuzz::{read_document, recorder};

/// What must not be in any document. Input that has it by itself is left out.
const SECRET: &str = "h1dd3n";

/// The longest URL is 250 characters, and so is each of the other five texts; a character takes up to six bytes.
const MOST_BYTES: usize = 24_000;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    method: Name<'a>,
    uri: Target<'a>,
    headers: Vec<(Header<'a>, &'a [u8])>,
    naming: Named<'a>,
    trust: u8,
    traceparent: bool,
    tls: bool,
    response: Answer<'a>,
    call: Option<Call<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Get,
    Head,
    Options,
    Connect,
    Other(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Target<'a> {
    form: Form,
    https: bool,
    credentials: bool,
    host: &'a str,
    path: &'a str,
    query: bool,
    fill: u8,
}

#[derive(Arbitrary, Debug)]
enum Form {
    Origin,
    Absolute,
    Authority,
    Asterisk,
}

#[derive(Arbitrary, Debug)]
enum Header<'a> {
    Host,
    HostWithCredentials,
    TraceId,
    TraceIdOf { root: u128, parent: u64, sampled: u8 },
    Traceparent,
    ForwardedFor,
    ForwardedProto,
    UserAgent,
    Other(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Named<'a> {
    Fixed(&'a str),
    ByHost(&'a str),
    By(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Answer<'a> {
    status: u16,
    length: Option<&'a [u8]>,
    grpc_status: Option<&'a [u8]>,
    fails: bool,
    body: u16,
}

#[derive(Arbitrary, Debug)]
struct Call<'a> {
    method: Name<'a>,
    uri: Target<'a>,
    host: Option<&'a [u8]>,
    name: Option<&'a str>,
    /// What comes before and after the URL in the error of the transport.
    error: (&'a str, &'a str),
    response: Answer<'a>,
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.windows(SECRET.len()).any(|part| part.eq_ignore_ascii_case(SECRET.as_bytes())) {
        return;
    }
    let Ok(input) = Input::arbitrary_take_rest(arbitrary::Unstructured::new(bytes)) else { return };
    let Some(uri) = input.uri.uri() else { return };
    let Some(method) = input.method.method() else { return };
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.method_mut() = method;
    let secrets = [
        (AUTHORIZATION, format!("Bearer {SECRET}")),
        (PROXY_AUTHORIZATION, format!("Basic {SECRET}")),
        (COOKIE, format!("session={SECRET}")),
        (HeaderName::from_static("x-api-key"), SECRET.to_owned()),
        (HeaderName::from_static("x-amz-security-token"), SECRET.to_owned()),
        (HeaderName::from_static("referer"), format!("https://shop.example.com/?token={SECRET}")),
        (HeaderName::from_static("x-original-url"), format!("/?token={SECRET}")),
    ];
    for (name, value) in secrets {
        request.headers_mut().append(name, value.parse().expect("visible characters"));
    }
    for (header, value) in &input.headers {
        if let Some((name, value)) = header.line(value) {
            request.headers_mut().append(name, value);
        }
    }
    exchange(&input, request);
});

fn exchange(input: &Input<'_>, request: Request<()>) {
    let (recorder, emitter) = recorder(|builder| builder.seed(1));
    let naming = match input.naming {
        Named::Fixed(name) => name.into(),
        Named::ByHost(pattern) => Naming::by_host(pattern, "fallback").expect("a good name"),
        Named::By(name) => {
            let name = name.to_owned();
            Naming::by(move |_| name.clone())
        }
    };
    let trust = [Trust::All, Trust::IdsOnly, Trust::None][usize::from(input.trust % 3)];
    let layer = XRayLayer::new(naming, recorder.clone()).trust(trust).tls(input.tls).traceparent(input.traceparent);

    let mut headers = request.headers().clone();
    if !input.traceparent {
        headers.remove(&TRACEPARENT);
    }
    let caller = TraceHeader::from_headers(&headers).filter(|_| trust != Trust::None);
    let recorded =
        trust != Trust::All || caller.as_ref().is_none_or(|caller| caller.decision() != SamplingDecision::NotSampled);
    let host_has_query = headers.get("host").is_some_and(|host| host.as_bytes().contains(&b'?'));

    let mut service = layer.layer(Inner { call: input.call.as_ref(), answer: &input.response });
    let response = poll(service.call(request)).expect("the inner service answers at once");
    if let Ok(response) = response {
        let header = response.headers().get(&X_AMZN_TRACE_ID).expect("the response says of which trace it is");
        let header = TraceHeader::try_from(header).expect("a good header");
        assert!(caller.as_ref().is_none_or(|caller| caller.root() == header.root()));
        read(response.into_body());
    }
    drop(service);

    let documents = emitter.take();
    assert_eq!(documents.len(), usize::from(recorded), "what the caller has decided goes");
    for document in documents {
        let json = document.to_json();
        assert!(json.len() <= MOST_BYTES, "{} bytes", json.len());
        assert!(!json.to_ascii_lowercase().contains(SECRET), "{json}");
        let value = read_document(&json);
        if let Some(caller) = &caller {
            assert_eq!(document.trace_id(), caller.root());
        }
        assert_eq!(document.parent_id(), caller.as_ref().and_then(TraceHeader::parent));
        let url = value["http"]["request"]["url"].as_str().expect("a URL");
        assert!(url.chars().count() <= 250 && (!url.contains('?') || host_has_query), "{url}");
        if let Ok(answer) = answer(&input.response) {
            assert_eq!(document.http_status(), Some(answer.status().as_u16()));
        }
        assert_eq!(document.subsegments().count(), usize::from(input.call.as_ref().is_some_and(Call::is_made)));
    }
}

struct Inner<'a> {
    call: Option<&'a Call<'a>>,
    answer: &'a Answer<'a>,
}

impl Service<Request<()>> for Inner<'_> {
    type Response = Response<String>;
    type Error = TransportError;
    type Future = Ready<Result<Response<String>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        if let Some(call) = self.call {
            call.make();
        }
        ready(answer(self.answer))
    }
}

/// The other end of a call: sees the header, and answers or fails.
struct Remote<'a> {
    call: &'a Call<'a>,
}

impl Service<Request<()>> for Remote<'_> {
    type Response = Response<String>;
    type Error = TransportError;
    type Future = Ready<Result<Response<String>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let header = request.headers().get(&X_AMZN_TRACE_ID).expect("the call continues the trace");
        assert!(header.len() <= MAX_LEN);
        let header = TraceHeader::try_from(header).expect("a good header");
        let traceparent = request.headers().get(&TRACEPARENT).expect("also for services of other make");
        let foreign = w3c::parse(traceparent.as_bytes()).expect("a good header");
        assert_eq!((foreign.root(), foreign.parent()), (header.root(), header.parent()));
        if self.call.response.fails {
            let (before, after) = self.call.error;
            return ready(Err(TransportError(format!("{before}{}{after}", request.uri()))));
        }
        ready(answer(&self.call.response))
    }
}

/// The error of a transport, which tells the URL, as that of reqwest does.
#[derive(Debug)]
struct TransportError(String);

impl std::fmt::Display for TransportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TransportError {}

impl Call<'_> {
    fn is_made(&self) -> bool {
        self.uri.uri().is_some() && self.method.method().is_some()
    }

    fn make(&self) {
        let (Some(uri), Some(method)) = (self.uri.uri(), self.method.method()) else { return };
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        *request.method_mut() = method;
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(SECRET));
        if let Some(host) = self.host.and_then(|host| HeaderValue::from_bytes(host).ok()) {
            request.headers_mut().insert("host", host);
        }
        let mut layer = XRayClientLayer::new().traceparent(true);
        if let Some(name) = self.name {
            layer = layer.name(name);
        }
        let response =
            poll(layer.layer(Remote { call: self }).call(request)).expect("the remote service answers at once");
        if let Ok(response) = response {
            read(response.into_body());
        }
    }
}

fn answer(answer: &Answer<'_>) -> Result<Response<String>, TransportError> {
    if answer.fails {
        return Err(TransportError("out of order".to_owned()));
    }
    let mut response = Response::new("x".repeat(usize::from(answer.body % 300)));
    *response.status_mut() = StatusCode::from_u16(answer.status % 1_000).unwrap_or_default();
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(SET_COOKIE, HeaderValue::from_static(SECRET));
    for (name, value) in [(CONTENT_LENGTH, answer.length), (HeaderName::from_static("grpc-status"), answer.grpc_status)]
    {
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

impl Name<'_> {
    fn method(&self) -> Option<Method> {
        match self {
            Self::Get => Some(Method::GET),
            Self::Head => Some(Method::HEAD),
            Self::Options => Some(Method::OPTIONS),
            Self::Connect => Some(Method::CONNECT),
            Self::Other(name) => Method::from_bytes(name).ok(),
        }
    }
}

impl Target<'_> {
    /// The query and the user's name and password are secret.
    fn uri(&self) -> Option<Uri> {
        let Self { form, https, credentials, host, path, query, fill } = self;
        let scheme = if *https { "https" } else { "http" };
        let credentials = if *credentials { format!("user:{SECRET}@") } else { String::new() };
        let host = if host.is_empty() { "shop.example.com" } else { host };
        // Some are so long that the text of an error is cut somewhere in its URL, at 1,000 characters.
        let fill = usize::from(*fill);
        let path = format!("/{path}{}", "p".repeat(if fill < 128 { fill } else { fill + 780 }));
        let query = if *query { format!("?token={SECRET}{SECRET}&more={SECRET}") } else { String::new() };
        let text = match form {
            Form::Origin => format!("{path}{query}"),
            Form::Absolute => format!("{scheme}://{credentials}{host}{path}{query}"),
            Form::Authority => format!("{credentials}{host}"),
            Form::Asterisk => "*".to_owned(),
        };
        text.parse().ok()
    }
}

impl Header<'_> {
    fn line(&self, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
        let name = match self {
            Self::Host | Self::HostWithCredentials => "host",
            Self::TraceId | Self::TraceIdOf { .. } => "x-amzn-trace-id",
            Self::Traceparent => "traceparent",
            Self::ForwardedFor => "x-forwarded-for",
            Self::ForwardedProto => "x-forwarded-proto",
            Self::UserAgent => "user-agent",
            Self::Other(name) => name,
        };
        let value = match self {
            Self::HostWithCredentials => [b"user:", SECRET.as_bytes(), b"@", value].concat(),
            Self::TraceIdOf { root, parent, sampled } => {
                let root = format!("{root:032x}");
                let sampled = ["", ";Sampled=0", ";Sampled=1", ";Sampled=?"][usize::from(sampled % 4)];
                let (epoch, random) = root.split_at(8);
                [format!("Root=1-{epoch}-{random};Parent={parent:016x}{sampled};").as_bytes(), value].concat()
            }
            _ => value.to_vec(),
        };
        Some((name.parse().ok()?, HeaderValue::from_bytes(&value).ok()?))
    }
}

/// What is there at once.
fn poll<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Reads a body to its end.
fn read<B: http_body::Body<Error = Infallible>>(body: B) {
    let mut body = pin!(body);
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
        let Ok(_) = frame;
    }
}
