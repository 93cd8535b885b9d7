//! A server that answers what a test wants, and tells what it has received.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::{Router, body::Bytes, http::HeaderMap, response::IntoResponse};
use http::{Response, StatusCode};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::serve;

#[derive(Clone)]
pub(super) enum Answer {
    Say {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: &'static str,
    },
    /// The caller waits until it has enough.
    Nothing,
}

/// An answer with a body in JSON.
pub(super) fn say(status: u16, body: &'static str) -> Answer {
    Answer::Say { status, headers: vec![("x-amzn-requestid", "r-0001")], body }
}

pub(super) struct Server {
    pub(super) endpoint: String,
    received: UnboundedReceiver<Received>,
}

#[derive(Debug)]
pub(super) struct Received {
    /// `X-Amzn-Trace-Id`, all of them.
    pub(super) trace: Vec<String>,
    pub(super) body: Bytes,
}

impl Server {
    /// Gives the answers one after the other, and the last one again and again.
    pub(super) async fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Arc<[Answer]> = answers.into_iter().collect();
        let (sender, received) = unbounded_channel();
        let given = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(async move |headers: HeaderMap, body: Bytes| {
            let trace = headers.get_all("x-amzn-trace-id").iter().map(|value| value.to_str().unwrap().to_owned());
            let _ = sender.send(Received { trace: trace.collect(), body });
            match &answers[given.fetch_add(1, Relaxed).min(answers.len() - 1)] {
                Answer::Say { status, headers, body } => {
                    let mut response = Response::new(axum::body::Body::from(*body));
                    *response.status_mut() = StatusCode::from_u16(*status).unwrap();
                    for (name, value) in headers {
                        response.headers_mut().insert(*name, value.parse().unwrap());
                    }
                    response.into_response()
                }
                Answer::Nothing => std::future::pending().await,
            }
        });
        let address = serve(router).await;
        Self { endpoint: format!("http://{address}"), received }
    }

    /// The next request, as soon as there is one.
    pub(super) async fn next(&mut self) -> Received {
        self.received.recv().await.expect("a server")
    }

    /// A request that has been received already.
    pub(super) fn received(&mut self) -> Option<Received> {
        self.received.try_recv().ok()
    }

    /// The header of the next request, which has exactly one.
    pub(super) async fn next_header(&mut self) -> String {
        let received = self.next().await;
        let [header] = &received.trace[..] else { panic!("one header: {received:?}") };
        header.clone()
    }
}
