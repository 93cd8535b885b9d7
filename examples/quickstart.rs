//! See X-Ray traces within a minute: two services, their requests, and a local daemon in one program. No AWS needed.
//!
//! ```sh
//! cargo run --example quickstart             # sends nine requests, and shows what is recorded of each
//! cargo run --example quickstart -- --serve  # stays up for curl, and shows traces as they come
//! ```
//!
//! `shop` and `pricing` are axum services on ports of their own; `shop` asks `pricing` over a real connection. Their
//! documents go by UDP to a [`LocalDaemon`] on the port of the real one, which checks them and draws their traces.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    panic,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anstream::{eprintln, println};
use anstyle::AnsiColor;
use axum::{
    BoxError, Extension, Router,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream::{self, StreamExt};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::{net::TcpListener, signal, task::block_in_place, time::sleep};
use tower_http::catch_panic::CatchPanicLayer;
use tower_xray::{
    Entity, FutureExt, Recorder, TraceId, XRayLayer, capture, client::reqwest::XRayMiddleware, current,
    document::RecordedError, header::X_AMZN_TRACE_ID, sampling::SampleAll,
};
use xray_local::{LocalDaemon, RenderOptions};

const DAEMON: &str = "127.0.0.1:2000";

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    keep_quiet_about_the_planned_panic();
    let daemon = match LocalDaemon::bind(DAEMON) {
        Ok(daemon) => Some(daemon),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
        Err(error) => return Err(error.into()),
    };
    // A variable that is left over from other work should not change what is shown here.
    let recorder = Recorder::builder().environment(|_| None).sampling(SampleAll).build()?;
    let pricing = serve("pricing", pricing(), &recorder).await?;
    let shop = serve("shop", shop(pricing), &recorder).await?;
    let mut show = Show::new(daemon, recorder);

    println!("shop is http://{shop}, pricing is http://{pricing}");
    match show.daemon {
        Some(_) => println!("The X-Ray daemon at {DAEMON} (UDP) is part of this program.\n"),
        None => println!("Something else serves {DAEMON} already, so the traces go there: look at them there.\n"),
    }
    if std::env::args().any(|argument| argument == "--serve") {
        show.until_ctrl_c(shop).await?;
    } else {
        show.requests(shop).await?;
    }
    Ok(show.sum_up().await)
}

// The services.

fn shop(pricing: SocketAddr) -> Router {
    let client = ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).build();
    Router::new()
        .route("/orders/{id}", get(order))
        .route("/orders", post(place_order))
        .route("/deals", get(async || (StatusCode::TOO_MANY_REQUESTS, "one deal a day\n")))
        .route("/invoices/{id}", get(invoice))
        .route("/catalogue", get(catalogue))
        .with_state(Shop { client, pricing })
}

fn pricing() -> Router {
    let quote = async |Path(id): Path<u32>| {
        current().add_annotation("currency", "EUR");
        sleep(Duration::from_millis(8)).await;
        format!("order {id} costs 12.50 EUR\n")
    };
    Router::new().route("/quotes/{id}", get(quote))
}

#[derive(Clone)]
struct Shop {
    client: ClientWithMiddleware,
    pricing: SocketAddr,
}

async fn order(State(shop): State<Shop>, Path(id): Path<u32>, segment: Entity) -> Result<Response, Failure> {
    segment.set_user("alice");
    segment.add_annotation("tier", "gold");
    let lines = capture("load order", async {
        sleep(Duration::from_millis(4)).await;
        let lines = if id == 42 { 3 } else { 0 };
        current().add_annotation("lines", lines);
        Ok::<_, Infallible>(lines)
    });
    if lines.await? == 0 {
        return Ok((StatusCode::NOT_FOUND, "no such order\n").into_response());
    }
    let quote = shop.client.get(format!("http://{}/quotes/{id}", shop.pricing)).send().await?;
    Ok(quote.text().await?.into_response())
}

async fn place_order(State(shop): State<Shop>) -> Result<&'static str, Failure> {
    // Nobody listens on port 1.
    capture("charge card", shop.client.post("http://127.0.0.1:1/charges").send()).await?;
    Ok("charged\n")
}

async fn invoice(Path(id): Path<u32>) -> &'static str {
    if id == 42 {
        panic::panic_any(PLANNED_PANIC);
    }
    "an invoice\n"
}

async fn catalogue() -> Body {
    // The segment is the current entity for the body too, so this is part of it.
    let page = |page| async move {
        sleep(Duration::from_millis(15)).await;
        Some((Ok::<_, Infallible>(format!("page {page}\n")), page + 1))
    };
    let pages = stream::unfold(1, move |number| page(number).in_subsegment(format!("page {number}")));
    Body::from_stream(pages.take(4))
}

/// Any error as a 500 that tells the segment why.
struct Failure(BoxError);

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, Extension(RecordedError::new(self.0)), "sorry\n").into_response()
    }
}

async fn serve(name: &str, app: Router, recorder: &Recorder) -> io::Result<SocketAddr> {
    // The layer that catches panics goes outside, so that the segment sees the panic.
    let app = app.layer(XRayLayer::new(name, recorder.clone())).layer(CatchPanicLayer::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).into_future());
    Ok(address)
}

const PLANNED_PANIC: &str = "invoice 42 has no lines";

/// The trace shows this panic; on standard error it would look like a bug of the example.
fn keep_quiet_about_the_planned_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref() != Some(&PLANNED_PANIC) {
            report(panic);
        }
    }));
}

/// An id as a load balancer makes one up.
fn load_balancers_id() -> TraceId {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TraceId::new(now.as_secs() as u32, now.as_nanos())
}

// What is shown.

struct Show {
    daemon: Option<LocalDaemon>,
    recorder: Recorder,
    client: reqwest::Client,
    options: RenderOptions,
    number: u32,
    documents: u64,
    missing: u32,
}

impl Show {
    fn new(daemon: Option<LocalDaemon>, recorder: Recorder) -> Self {
        let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0).min(140));
        let options = RenderOptions::default().width(width);
        Self { daemon, recorder, client: reqwest::Client::new(), options, number: 0, documents: 0, missing: 0 }
    }

    async fn requests(&mut self, shop: SocketAddr) -> Result<(), BoxError> {
        let client = self.client.clone();
        let get = |path: &str| client.get(format!("http://{shop}{path}"));

        self.caption("GET /orders/42: asks pricing; a subsegment, a user, annotations");
        get("/orders/42").send().await?.text().await?;
        self.trace(2, None).await;

        self.caption("GET /orders/7: there is none; a 404 is an error, the caller's");
        get("/orders/7").send().await?.text().await?;
        self.trace(1, None).await;

        self.caption("GET /deals: too many requests; a 429 is an error and a throttle");
        get("/deals").send().await?.text().await?;
        self.trace(1, None).await;

        self.caption("POST /orders: a 500, with the whole chain of causes where it began");
        client.post(format!("http://{shop}/orders")).send().await?.text().await?;
        self.trace(1, None).await;

        self.caption("GET /invoices/42: the handler panics; a fault, with the message");
        get("/invoices/42").send().await?.text().await?;
        self.trace(1, None).await;

        self.caption("GET /catalogue: a streamed body; the segment ends when the body does");
        get("/catalogue").send().await?.text().await?;
        self.trace(1, None).await;

        self.caption("GET /catalogue: the client leaves after the first page");
        get("/catalogue").send().await?.chunk().await?;
        self.trace(1, None).await;

        self.caption("GET /orders/42 with Sampled=0: nothing is recorded, here or at pricing");
        let unsampled = format!("Root={};Sampled=0", load_balancers_id());
        get("/orders/42").header(&X_AMZN_TRACE_ID, unsampled).send().await?.text().await?;
        self.trace(0, None).await;

        self.caption("GET /orders/42 with a load balancer's Root=…: the trace id is kept");
        let id = load_balancers_id();
        get("/orders/42").header(&X_AMZN_TRACE_ID, format!("Root={id}")).send().await?.text().await?;
        self.trace(2, Some(id)).await;
        Ok(())
    }

    fn caption(&mut self, caption: &str) {
        self.number += 1;
        let style = AnsiColor::Cyan.on_default().bold();
        println!("{style}{}  {caption}{style:#}", self.number);
    }

    /// Waits for the documents of one request, and draws the trace that they make.
    async fn trace(&mut self, documents: u64, id: Option<TraceId>) {
        self.documents += documents;
        self.recorder.flush(Duration::from_secs(2)).await;
        let Some(daemon) = &self.daemon else { return };
        let all = block_in_place(|| daemon.wait_for(self.documents, Duration::from_secs(5)));
        let traces = daemon.take_settled(Duration::ZERO);
        for trace in &traces {
            println!("{}", trace.render(&self.options));
        }
        let as_told = id.is_none_or(|id| traces.iter().all(|trace| trace.id() == id.to_string()));
        if !all || !as_told || traces.len() != usize::from(documents > 0) {
            eprintln!("This is not the trace that should be here.\n");
            self.missing += 1;
        } else if traces.is_empty() {
            println!("no trace, as it should be\n");
        }
    }

    async fn until_ctrl_c(&self, shop: SocketAddr) -> io::Result<()> {
        println!("Try these; Ctrl-C ends it.\n");
        for path in ["orders/42", "orders/7", "deals", "invoices/42", "catalogue", "orders -X POST"] {
            println!("  curl http://{shop}/{path}");
        }
        println!("  curl http://{shop}/orders/42 -H 'X-Amzn-Trace-Id: Root={}'\n", load_balancers_id());
        let watch = async {
            let Some(daemon) = &self.daemon else { return std::future::pending().await };
            loop {
                for trace in daemon.take_settled(Duration::from_millis(300)) {
                    println!("{}", trace.render(&self.options));
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            ended = signal::ctrl_c() => ended,
            () = watch => Ok(()),
        }
    }

    async fn sum_up(self) -> ExitCode {
        let left = self.recorder.shutdown(Duration::from_secs(2)).await;
        let stats = self.recorder.stats();
        println!(
            "recorder: {} segments opened, {} sampled; {} documents sent, {} dropped, {left} left",
            stats.opened,
            stats.sampled,
            stats.emitted,
            stats.dropped.total(),
        );
        let Some(daemon) = &self.daemon else { return ExitCode::SUCCESS };
        let seen = daemon.stats();
        println!(
            "daemon:   {} documents accepted, {} refused, {} warnings",
            seen.documents, seen.invalid, seen.warnings
        );
        for problem in daemon.problems() {
            eprintln!("{problem}");
        }
        let good = self.missing == 0 && seen.invalid == 0 && seen.warnings == 0;
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
