//! In: datagrams on a UDP socket. Out: traces, and what was wrong with the rest.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::problem::{Problem, Severity};
use super::store::{Limits, Store};
use super::trace::Trace;
use super::{check_datagram, check_document};

/// What the X-Ray daemon reads at once; no datagram is larger.
const BUFFER: usize = 65_536;

/// How long a lost wake-up can delay the end of the thread.
const WAKE_UP: Duration = Duration::from_millis(250);

const LIMITS: Limits = Limits { traces: 1_000, bytes: 64 << 20, problems: 1_000 };

/// A daemon that listens on a UDP port, checks what arrives, and keeps it by trace.
///
/// It keeps the 1,000 newest traces in about 64 MB. Dropping it ends its thread and frees the port.
#[derive(Debug)]
pub struct LocalDaemon {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    thread: Option<JoinHandle<()>>,
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
}

impl LocalDaemon {
    /// Binds the address and starts to listen; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// Fails as [`UdpSocket::bind`] does, with [`io::ErrorKind::AddrInUse`] when another daemon has
    /// the port, and when the thread cannot be started.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let socket = UdpSocket::bind(addr)?;
        socket.set_read_timeout(Some(WAKE_UP))?;
        let local_addr = socket.local_addr()?;
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::new(LIMITS)),
            arrived: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let receiver = Arc::clone(&shared);
        let thread = thread::Builder::new().name("xray-local".to_owned()).spawn(move || receiver.receive(&socket))?;
        Ok(Self { shared, local_addr, thread: Some(thread) })
    }

    /// The address it listens on, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
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
