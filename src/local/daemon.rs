//! In: datagrams on a UDP socket, sampling calls by TCP. Out: traces, what was wrong with the rest, and answers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::calls::Desk;
use super::problem::{Problem, Severity};
use super::rule_file::SamplingRules;
use super::sampling::SamplingReport;
use super::store::{Limits, Store};
use super::tcp::{Calls, Server};
use super::trace::Trace;
use super::{check_datagram, check_document};

/// What the X-Ray daemon reads at once; no datagram is larger.
const BUFFER: usize = 65_536;

/// How long a lost wake-up can delay the end of the thread.
const WAKE_UP: Duration = Duration::from_millis(250);

const LIMITS: Limits = Limits { traces: 1_000, bytes: 64 << 20, problems: 1_000 };

/// How often to try for a port that is free for UDP and for TCP.
const ATTEMPTS: usize = 16;

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

/// What a [`LocalDaemon`] has counted since it was bound.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LocalStats {
    /// Datagrams received, good or bad.
    pub datagrams: u64,
    /// Documents accepted.
    pub documents: u64,
    /// Datagrams refused, for their header or for their document.
    pub invalid: u64,
    /// Warnings about documents, accepted or refused.
    pub warnings: u64,
    /// Traces that had to leave before anyone took them.
    pub evicted_traces: u64,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    arrived: Condvar,
    stop: AtomicBool,
    sampling: Desk,
}

impl LocalDaemon {
    /// Binds the address and starts to listen, on UDP and on TCP; port 0 takes one that is free for both.
    ///
    /// Nobody is asked who they are, so the address should be one of the loopback interface, or of a network that is
    /// trusted, such as that between containers: see [`is_exposed`](Self::is_exposed).
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
            sampling: Desk::default(),
        });
        let tcp = Server::start(listener, Arc::clone(&shared))?;
        let receiver = Arc::clone(&shared);
        let thread = thread::Builder::new().name("xray-local".to_owned()).spawn(move || receiver.receive(&socket))?;
        Ok(Self { shared, local_addr, thread: Some(thread), _tcp: tcp })
    }

    /// The address it listens on, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Whether other machines may reach it: its address is none of the loopback interface.
    ///
    /// Then anyone on the network can send it traces and ask for its sampling rules. What they can do is bounded: the
    /// memory is, and so is the number of connections; what they send is shown escaped.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        !self.local_addr.ip().to_canonical().is_loopback()
    }

    /// A copy of all traces, in the order in which they first arrived.
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

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> LocalStats {
        self.shared.store().stats()
    }

    /// The last 1,000 problems, oldest first.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.shared.store().problems()
    }

    /// As [`problems`](Self::problems), and forgets them.
    #[must_use = "these problems are gone from the daemon"]
    pub fn take_problems(&self) -> Vec<Problem> {
        self.shared.store().take_problems()
    }

    /// Hands out these sampling rules from now on.
    ///
    /// Clients hear of it with their next targets. Rules that keep their names keep their reports.
    pub fn set_sampling_rules(&self, rules: SamplingRules) {
        self.shared.sampling.set_rules(rules);
    }

    /// Hands out the sampling rules of this file, in a form that [`SamplingRules::from_json`] reads.
    ///
    /// The file is looked at with every call of a client, and read again when it has changed. Should it be wrong then,
    /// that is one of the [`problems`](Self::problems), and the rules stay as they are.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or its rules are wrong; the rules stay as they are.
    pub fn set_sampling_rules_file(&self, path: impl Into<PathBuf>) -> Result<(), Problem> {
        self.shared.sampling.set_file(path.into())
    }

    /// What clients have reported since the start, by sampling rule.
    #[must_use]
    pub fn sampling_reports(&self) -> Vec<SamplingReport> {
        self.shared.sampling.reports()
    }

    /// Takes the time of sampling (since the Unix epoch) from here instead of the system's clock: for tests.
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
        match check_datagram(datagram) {
            Err(problem) => self.store().refuse([problem.in_document(&sender.to_string())]),
            Ok(document) => {
                let name = document.get("name").and_then(Value::as_str).unwrap_or_default();
                let problems: Vec<Problem> =
                    check_document(&document).into_iter().map(|problem| problem.in_document(name)).collect();
                if problems.iter().any(|problem| problem.severity() == Severity::Rejected) {
                    self.store().refuse(problems);
                } else {
                    self.store().accept(document, problems, now);
                }
            }
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

/// Two sockets at one address. With port 0, a port that TCP has already is not the last word.
fn bind_both(addr: impl ToSocketAddrs) -> io::Result<(UdpSocket, TcpListener)> {
    let addrs: Vec<SocketAddr> = addr.to_socket_addrs()?.collect();
    let mut attempts = if addrs.iter().all(|addr| addr.port() == 0) { ATTEMPTS } else { 1 };
    loop {
        let socket = UdpSocket::bind(&*addrs)?;
        attempts -= 1;
        match TcpListener::bind(socket.local_addr()?) {
            Ok(listener) => return Ok((socket, listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("TCP, for sampling calls: {error}")));
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | Interrupted | TimedOut | WouldBlock)
}

fn wake(mut addr: SocketAddr) -> io::Result<usize> {
    let any: IpAddr = match addr.ip() {
        IpAddr::V4(ip) => {
            if ip.is_unspecified() {
                addr.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            Ipv4Addr::UNSPECIFIED.into()
        }
        IpAddr::V6(ip) => {
            if ip.is_unspecified() {
                addr.set_ip(Ipv6Addr::LOCALHOST.into());
            }
            Ipv6Addr::UNSPECIFIED.into()
        }
    };
    let socket = UdpSocket::bind((any, 0))?;
    // A full buffer must not hold up a drop; then there is enough to wake up for.
    socket.set_nonblocking(true)?;
    socket.send_to(&[], addr)
}
