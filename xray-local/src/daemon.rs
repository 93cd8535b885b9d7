//! In: datagrams on a UDP socket, sampling calls by TCP. Out: traces, what was wrong with the rest, and answers.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::check::problem::Problem;
use crate::model::trace::Trace;
use crate::receive::ingest::ingest;
use crate::receive::socket::{bind_both, is_passing, wake};
use crate::sampling::calls::SamplingApi;
use crate::sampling::quotas::SamplingReport;
use crate::sampling::rule::SamplingRules;
use crate::store::stats::LocalStats;
use crate::store::traces::{Limits, Store};
use crate::web::tcp::{Calls, Server};

/// What the X-Ray daemon reads at once; no datagram is larger.
const BUFFER: usize = 65_536;

/// How long a lost wake-up can delay the end of the thread.
const WAKE_UP: Duration = Duration::from_millis(250);

const LIMITS: Limits = Limits { traces: 1_000, bytes: 64 << 20, problems: 1_000 };

/// A daemon that listens on a UDP port, checks what arrives, and keeps it by trace.
///
/// It keeps the 1,000 newest traces in about 64 MB. At the TCP port of the same number it answers sampling calls.
/// Dropping it ends its threads and frees the ports.
#[derive(Debug)]
pub struct LocalDaemon {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    thread: Option<JoinHandle<()>>,
    _tcp: Server,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    arrived: Condvar,
    stop: AtomicBool,
    sampling: SamplingApi,
}

impl LocalDaemon {
    /// Binds the address and starts to listen, on UDP and on TCP; port 0 takes one that is free for both.
    ///
    /// Clients are not authenticated. The address should be a loopback address, or one of a trusted network, such as
    /// that between containers: see [`is_exposed`](Self::is_exposed).
    ///
    /// # Errors
    ///
    /// Fails as [`UdpSocket::bind`] does, with [`io::ErrorKind::AddrInUse`] when another daemon has
    /// the port, on UDP or TCP, and when the threads cannot be started.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let (socket, listener) = bind_both(addr)?;
        socket.set_read_timeout(Some(WAKE_UP))?;
        let local_addr = socket.local_addr()?;
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::new(LIMITS)),
            arrived: Condvar::new(),
            stop: AtomicBool::new(false),
            sampling: SamplingApi::default(),
        });
        let tcp = Server::start(listener, Arc::clone(&shared))?;
        let receiver = Arc::clone(&shared);
        let thread = thread::Builder::new().name("xray-local".to_owned()).spawn(move || receiver.receive(&socket))?;
        Ok(Self { shared, local_addr, thread: Some(thread), _tcp: tcp })
    }

    /// Returns the address that it listens on, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns whether other machines may reach it: its address is not a loopback address.
    ///
    /// Then anyone on the network can send it traces and ask for its sampling rules. Its memory and the number of
    /// connections are bounded all the same, and the text of documents is escaped before it is drawn.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        !self.local_addr.ip().to_canonical().is_loopback()
    }

    /// Returns a copy of all traces, in the order in which they first arrived.
    #[must_use]
    pub fn traces(&self) -> Vec<Trace> {
        self.shared.store().traces()
    }

    /// Removes and returns the traces that got nothing new for `quiet`, in order of arrival.
    #[must_use = "these traces are gone from the daemon"]
    pub fn take_settled(&self, quiet: Duration) -> Vec<Trace> {
        self.shared.store().take_settled(quiet, Instant::now())
    }

    /// Blocks until that many documents were accepted since the start; false if `timeout` comes first.
    #[must_use]
    pub fn wait_for(&self, documents: u64, timeout: Duration) -> bool {
        self.wait_until(timeout, |stats| stats.documents >= documents)
    }

    /// Blocks until the counts are as asked for; false if `timeout` comes first.
    #[must_use]
    pub fn wait_until(&self, timeout: Duration, reached: impl Fn(&LocalStats) -> bool) -> bool {
        let waiting = |store: &mut Store| !reached(&store.stats());
        let store = self.shared.store();
        let waited = self.shared.arrived.wait_timeout_while(store, timeout, waiting);
        let (store, _) = waited.unwrap_or_else(PoisonError::into_inner);
        reached(&store.stats())
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn stats(&self) -> LocalStats {
        self.shared.store().stats()
    }

    /// Returns the last 1,000 problems, oldest first.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.shared.store().problems()
    }

    /// Removes and returns the last 1,000 problems, oldest first.
    #[must_use = "these problems are gone from the daemon"]
    pub fn take_problems(&self) -> Vec<Problem> {
        self.shared.store().take_problems()
    }

    /// Serves these sampling rules from now on.
    ///
    /// Clients learn of the change with their next targets. Rules that keep their names keep their reports.
    pub fn set_sampling_rules(&self, rules: SamplingRules) {
        self.shared.sampling.set_rules(rules);
    }

    /// Serves the sampling rules of this file, in a form that [`SamplingRules::from_json`] reads.
    ///
    /// Each call of a client looks at the file, and reads it again if it has changed. If its rules are wrong by then, the
    /// mistake becomes one of the [`problems`](Self::problems), and the rules stay as they are.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or its rules are wrong; the rules stay as they are.
    pub fn set_sampling_rules_file(&self, path: impl Into<PathBuf>) -> Result<(), Problem> {
        self.shared.sampling.set_file(path.into())
    }

    /// Returns what clients have reported since the start, by sampling rule.
    #[must_use]
    pub fn sampling_reports(&self) -> Vec<SamplingReport> {
        self.shared.sampling.reports()
    }

    /// Sets the clock of sampling, which returns the time since the Unix epoch: for tests.
    pub fn set_clock(&self, now: impl Fn() -> Duration + Send + Sync + 'static) {
        self.shared.sampling.set_clock(now);
    }
}

impl Drop for LocalDaemon {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // An empty datagram means nothing to any daemon. Lost, it only costs the read timeout.
        let _ = wake(self.local_addr);
        if let Some(thread) = self.thread.take() {
            // The thread does not panic; if it did, it has ended all the same.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, socket: &UdpSocket) {
        let mut buffer = vec![0; BUFFER];
        while !self.stop.load(Ordering::Acquire) {
            match socket.recv_from(&mut buffer) {
                Ok((0, _)) => {}
                Ok((len, sender)) => self.take_in(&buffer[..len], sender),
                Err(error) if is_passing(&error) => {}
                // Unknown and maybe lasting: go on, but not in a tight loop.
                Err(_) => drop(self.arrived.wait_timeout(self.store(), WAKE_UP)),
            }
        }
    }

    fn take_in(&self, datagram: &[u8], sender: SocketAddr) {
        let now = Instant::now();
        match ingest(datagram, sender) {
            Ok((document, warnings)) => self.store().accept(document, warnings, now),
            Err(problems) => self.store().refuse(problems),
        }
        self.arrived.notify_all();
    }
}

impl Calls for Shared {
    fn call(&self, path: &str, request: &[u8]) -> Option<Result<Value, String>> {
        let (answer, problem) = self.sampling.call(path, request)?;
        self.store().note(problem);
        Some(answer)
    }
}
