//! A traced hyper client: calls a server, and prints the document of both sides.
//!
//! ```sh
//! cargo run --example hyper_client
//! ```
//!
//! The server's segment has the client's subsegment as its parent: that is what the header is for.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::{io, net::SocketAddr};

use axum::{BoxError, Router, routing::get};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_xray::{FutureExt, Recorder, XRayClientLayer, XRayLayer, emitter::LogEmitter, sampling::SampleAll};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let recorder = Recorder::builder().emitter(LogEmitter::new(io::stdout())).sampling(SampleAll).build()?;
    let pricing = serve(&recorder).await?;

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let client = ServiceBuilder::new().layer(XRayClientLayer::new()).service(client);

    let segment = recorder.begin_segment("nightly-report");
    let call = async {
        let request = Request::get(format!("http://{pricing}/quote")).body(Empty::new())?;
        let response = client.oneshot(request).await?;
        let quote = response.into_body().collect().await?.to_bytes();
        println!("{}", String::from_utf8_lossy(&quote));
        Ok::<_, BoxError>(())
    };
    // Inside of a traced handler there is a current segment already; here it has to be named.
    call.in_entity(&segment).await?;
    segment.close();
    Ok(())
}

async fn serve(recorder: &Recorder) -> io::Result<SocketAddr> {
    let app = Router::new().route("/quote", get("12.50 EUR")).layer(XRayLayer::new("pricing", recorder.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(address)
}
