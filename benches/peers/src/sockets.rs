//! Requests over keep-alive connections: a server in a process of its own, and clients here.

use std::{
    future::pending,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime,
    task::JoinSet,
};

use crate::contestant::Contestant;

const CONNECTIONS: usize = 64;

const REQUEST: &[u8] = b"GET /orders/42 HTTP/1.1\r\nhost: shop.example.com\r\nuser-agent: curl/8.9.1\r\n\
    x-forwarded-for: 203.0.113.7\r\nx-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n\r\n";

/// Serves on two threads; prints the port.
pub(crate) fn serve(contestant: &Contestant, daemon: SocketAddr) {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let started = (contestant.start)(daemon);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address").port());
        axum::serve(listener, started.router).await.expect("requests");
        pending::<()>().await;
    });
}

/// How many requests a server answers within a time.
pub(crate) fn load(port: u16, time: Duration) -> u32 {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let until = Instant::now() + time;
        let mut clients = JoinSet::new();
        (0..CONNECTIONS).for_each(|_| drop(clients.spawn(client(port, until))));
        clients.join_all().await.into_iter().sum()
    })
}

async fn client(port: u16, until: Instant) -> u32 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    stream.set_nodelay(true).expect("a connection");
    let mut buffer = [0; 4096];
    let mut answers = 0;
    while Instant::now() < until {
        stream.write_all(REQUEST).await.expect("a server");
        let mut filled = 0;
        while !buffer[..filled].ends_with(b"\r\n\r\nok") {
            let len = stream.read(&mut buffer[filled..]).await.expect("a server");
            assert!(len > 0, "the server is still there");
            filled += len;
        }
        answers += 1;
    }
    answers
}
