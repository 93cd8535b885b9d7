//! A daemon that answers as a script says, over a real TCP socket.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tower_xray::emitter::DaemonAddress;

pub(super) const RULES: &str = "/GetSamplingRules";
pub(super) const TARGETS: &str = "/SamplingTargets";

/// A call that the daemon was asked.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) path: String,
    /// All headers in lower case, sorted.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Value,
    /// Counts up with every connection.
    pub(super) connection: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Reply {
    Json(Value),
    /// A status, headers, and a body.
    Status(u16, &'static str, &'static str),
    /// These bytes, and the end.
    Raw(Vec<u8>),
    Hang,
}

type Script = Box<dyn FnMut(&Call) -> Reply + Send>;

#[derive(Clone)]
struct State {
    script: Arc<Mutex<Script>>,
    calls: Arc<Mutex<Vec<Call>>>,
    /// How many connections were opened, and how many are open.
    connections: watch::Sender<(usize, usize)>,
}

pub(super) struct Daemon {
    address: SocketAddr,
    state: State,
    task: Option<JoinHandle<()>>,
}

impl Daemon {
    pub(super) async fn start(script: impl FnMut(&Call) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Script = Box::new(script);
        let state = State {
            script: Arc::new(Mutex::new(script)),
            calls: Arc::default(),
            connections: watch::Sender::new((0, 0)),
        };
        let task = Some(tokio::spawn(accept(listener, state.clone())));
        Self { address, state, task }
    }

    /// With these rules, and this answer to reports.
    pub(super) async fn with(rules: Value, targets: Value) -> Self {
        Self::start(answers(rules, targets)).await
    }

    pub(super) fn answer(&self, script: impl FnMut(&Call) -> Reply + Send + 'static) {
        *self.state.script.lock().unwrap() = Box::new(script);
    }

    pub(super) fn address(&self) -> DaemonAddress {
        self.address.to_string().parse().unwrap()
    }

    /// The calls since the last time.
    pub(super) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.state.calls.lock().unwrap())
    }

    /// The paths of the calls since the last time.
    pub(super) fn paths(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.path).collect()
    }

    /// The statistics that were reported since the last time, each as `rule requests/sampled/borrowed`.
    pub(super) fn reports(&self) -> Vec<String> {
        let of = |call: Call| call.body["SamplingStatisticsDocuments"].as_array().cloned().unwrap_or_default();
        let line = |document: Value| {
            let [name, requests, sampled, borrowed] =
                ["RuleName", "RequestCount", "SampledCount", "BorrowCount"].map(|field| document[field].clone());
            format!("{} {requests}/{sampled}/{borrowed}", name.as_str().unwrap())
        };
        self.calls().into_iter().flat_map(of).map(line).collect()
    }

    /// Waits until so many connections were opened, and so many are open.
    pub(super) async fn connections(&self, opened: usize, open: usize) {
        let mut connections = self.state.connections.subscribe();
        let reached = connections.wait_for(|now| *now == (opened, open));
        drop(timeout(Duration::from_secs(20), reached).await.expect("connections within 20 seconds").unwrap());
    }

    /// Listens no more, and drops its connections.
    pub(super) async fn stop(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
        self.state.connections.send_modify(|(_, open)| *open = 0);
    }

    /// Listens again, at the same address.
    pub(super) async fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.task = Some(tokio::spawn(accept(listener, self.state.clone())));
    }
}

/// A script with these rules, and this answer to reports.
pub(super) fn answers(rules: Value, targets: Value) -> impl FnMut(&Call) -> Reply + Send + 'static {
    move |call| Reply::Json(if call.path == RULES { rules.clone() } else { targets.clone() })
}

async fn accept(listener: TcpListener, state: State) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        state.connections.send_modify(|(opened, open)| (*opened, *open) = (*opened + 1, *open + 1));
        let number = state.connections.borrow().0;
        let state = state.clone();
        connections.spawn(async move {
            let _ = serve(stream, number, &state).await;
            state.connections.send_modify(|(_, open)| *open -= 1);
        });
    }
}

async fn serve(mut stream: TcpStream, connection: usize, state: &State) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some(call) = read(&mut stream, &mut bytes, connection).await? else { return Ok(()) };
        let reply = (state.script.lock().unwrap())(&call);
        state.calls.lock().unwrap().push(call);
        let (status, headers, body) = match reply {
            Reply::Json(body) => (200, "", body.to_string()),
            Reply::Status(status, headers, body) => (status, headers, body.to_owned()),
            Reply::Raw(bytes) => return stream.write_all(&bytes).await,
            // Until the other side gives up.
            Reply::Hang => return stream.read_u8().await.map(drop),
        };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await?;
    }
}

/// One request with a length; nothing at the end of the connection.
async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>, connection: usize) -> std::io::Result<Option<Call>> {
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break bytes.drain(..end + 4).collect::<Vec<u8>>();
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let path = lines.next().unwrap().strip_prefix("POST ").unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let mut headers: Vec<_> = lines.map(header).collect();
    headers.sort();
    let length = &headers.iter().find(|(name, _)| name == "content-length").expect("no body without a length").1;
    let length: usize = length.parse().unwrap();
    while bytes.len() < length {
        assert_ne!(stream.read_buf(bytes).await?, 0, "half a request");
    }
    let body = serde_json::from_slice(&bytes.drain(..length).collect::<Vec<u8>>()).unwrap_or_else(|_| json!("no JSON"));
    Ok(Some(Call { path, headers, body, connection }))
}
