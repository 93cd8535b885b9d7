//! A traced axum server, which sends what it has recorded before Ctrl-C ends it.
//!
//! ```sh
//! cargo run -p xray-local  # shows traces, in a terminal of its own
//! cargo run --example axum_server
//! curl http://127.0.0.1:3000/orders/42
//! ```
//!
//! The default rules record one request per second and 5 % of the others.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::{net::SocketAddr, time::Duration};

use axum::{BoxError, Router, extract::Path, routing::get};
use tokio::{net::TcpListener, signal};
use tower_xray::{Entity, Recorder, XRayLayer};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let recorder = Recorder::from_env()?;
    let app = Router::new().route("/orders/{id}", get(show)).layer(XRayLayer::new("orders", recorder.clone()));

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/orders/42", listener.local_addr()?);
    // With the address of the peer, segments know the client.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async { signal::ctrl_c().await.unwrap_or_default() })
        .await?;

    let left = recorder.shutdown(Duration::from_secs(2)).await;
    println!("segments sent: {}, left behind: {left}", recorder.stats().emitted);
    Ok(())
}

async fn show(Path(id): Path<u32>, segment: Entity) -> String {
    segment.add_annotation("order", id);
    format!("order {id}\n")
}
