//! A traced reqwest client, in both forms: as a middleware of reqwest-middleware, and as a tower service.
//!
//! ```sh
//! cargo run --example reqwest_client
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::{io, net::SocketAddr};

use axum::{BoxError, Router, http::Method, routing::get};
use reqwest::Request;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_xray::{
    FutureExt, Recorder, XRayClientLayer, client::reqwest::XRayMiddleware, emitter::InMemoryEmitter,
    sampling::SampleAll,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let emitter = InMemoryEmitter::new();
    let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll).build()?;
    let pricing = serve().await?;

    let segment = recorder.begin_segment("nightly-report");
    call(pricing).in_entity(&segment).await?;
    segment.close();

    for document in emitter.take() {
        println!("{document}");
    }
    Ok(())
}

async fn call(pricing: SocketAddr) -> Result<(), BoxError> {
    // The same methods as those of `reqwest::Client`.
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).build();
    let quote = client.get(format!("http://{pricing}/quote")).send().await?.text().await?;
    println!("by the middleware: {quote}");

    // No further crate, and any other layer of tower around it.
    let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(reqwest::Client::new());
    let request = Request::new(Method::GET, format!("http://{pricing}/discounts").parse()?);
    let answer = client.oneshot(request).await?;
    println!("by the layer: {}", answer.status());
    Ok(())
}

async fn serve() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, Router::new().route("/quote", get("12.50 EUR"))).into_future());
    Ok(address)
}
