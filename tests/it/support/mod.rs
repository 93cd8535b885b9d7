//! What the tests share: recorders that keep their documents, and the checker that every document has to pass.

pub(crate) mod stops;

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tower_xray::{
    FutureExt, Recorder, RecorderBuilder,
    document::{EntityDocument, SegmentDocument},
    emitter::{Emitter, InMemoryEmitter},
    sampling::SampleAll,
};
use xray_local::check_document;

/// A recorder of everything that does not look at the process environment, and its documents.
pub(crate) fn recorder() -> (Recorder, Documents) {
    recorder_with(|builder| builder)
}

/// The same, adjusted.
pub(crate) fn recorder_with(adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder) -> (Recorder, Documents) {
    let emitter = InMemoryEmitter::new();
    let builder = Recorder::builder().environment(|_| None).emitter(emitter.clone()).sampling(SampleAll);
    (adjust(builder).build().unwrap(), Documents(emitter))
}

/// What a recorder has emitted.
#[derive(Clone)]
pub(crate) struct Documents(InMemoryEmitter);

impl Documents {
    /// All documents so far, checked.
    pub(crate) fn take(&self) -> Vec<SegmentDocument> {
        let documents = self.0.take();
        documents.iter().for_each(assert_valid);
        documents
    }

    /// The only document so far, checked.
    pub(crate) fn take_one(&self) -> SegmentDocument {
        let mut documents = self.take();
        assert_eq!(documents.len(), 1, "one document: {documents:?}");
        documents.remove(0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Runs work in a segment of a recorder of everything; its output, and the only document, which has every subsegment.
pub(crate) async fn in_segment<T>(work: impl Future<Output = T>) -> (T, SegmentDocument) {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let output = work.in_entity(&segment).await;
    segment.close();
    (output, documents.take_one())
}

/// Asserts that AWS's schema and the OpenTelemetry collector take a document.
pub(crate) fn assert_valid(document: &SegmentDocument) {
    assert_valid_json(&document.to_json());
}

pub(crate) fn assert_valid_json(json: &str) -> serde_json::Value {
    let value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let problems = check_document(&value);
    assert!(problems.is_empty(), "{problems:?}: {json}");
    value
}

/// The types and messages of the exceptions of one entity.
pub(crate) fn described(entity: EntityDocument<'_>) -> Vec<(&str, &str)> {
    entity.exceptions().map(|exception| (exception.type_name(), exception.message())).collect()
}

/// Documents as they are emitted: for tests that have to wait for a socket.
pub(crate) struct Emitted(mpsc::UnboundedReceiver<SegmentDocument>);

impl Emitted {
    /// The next document, checked.
    pub(crate) async fn next(&mut self) -> SegmentDocument {
        let next = tokio::time::timeout(Duration::from_secs(20), self.0.recv());
        let document = next.await.expect("a document within 20 seconds").expect("a recorder");
        assert_valid(&document);
        document
    }

    /// What has been emitted already, checked.
    pub(crate) fn try_next(&mut self) -> Option<SegmentDocument> {
        self.0.try_recv().ok().inspect(assert_valid)
    }

    /// Asserts that nothing else has been emitted.
    pub(crate) fn assert_empty(&mut self) {
        let unexpected = self.0.try_recv();
        assert!(unexpected.is_err(), "{unexpected:?}");
    }
}

/// A recorder of everything, and its documents one by one.
pub(crate) fn emitting_recorder() -> (Recorder, Emitted) {
    emitting_recorder_with(|builder| builder)
}

/// The same, adjusted.
pub(crate) fn emitting_recorder_with(adjust: impl FnOnce(RecorderBuilder) -> RecorderBuilder) -> (Recorder, Emitted) {
    struct Channel(mpsc::UnboundedSender<SegmentDocument>);

    impl Emitter for Channel {
        fn emit(&self, document: SegmentDocument) {
            // A test that has seen enough does not listen any more.
            let _ = self.0.send(document);
        }
    }

    let (sender, receiver) = mpsc::unbounded_channel();
    let builder = Recorder::builder().environment(|_| None).emitter(Channel(sender)).sampling(SampleAll);
    (adjust(builder).build().unwrap(), Emitted(receiver))
}

/// Serves a router on loopback until the runtime ends.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// Sends raw HTTP/1.1 and reads what comes back until the server closes the connection.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    // A connection that the server resets has sent what it has sent.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

/// A GET request that asks for the connection to be closed.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n\r\n")
}
