//! The socket, and the addresses that a host name stands for.
//!
//! In: datagrams. Out: calls of the socket, and what the kernel says about them. Host names are looked up in a thread of
//! their own.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::gso;
use crate::{
    emitter::{queue::Queue, worker::Reason},
    transport::Endpoint,
};

/// A host name is looked up again this often, for daemons that move; sooner if the daemon does not listen any more.
const LOOKUP_EVERY: Duration = Duration::from_secs(30);
/// After a failure, the next lookup waits this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A full socket buffer is waited for this long; only the sending thread waits.
const SEND_TIMEOUT: Duration = Duration::from_millis(20);

/// The result of sending datagrams in one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// The datagrams of the call before were refused: the kernel reports that with the next call.
    pub(super) earlier_refused: bool,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Out,
    /// They cannot be sent in one call on this way; smaller groups may be.
    NotInOneCall,
    /// They were refused by every address.
    Refused,
    TooLarge,
    /// They may be sent later.
    Failed(Reason),
}

#[derive(Debug)]
pub(super) struct Connection {
    endpoint: Endpoint,
    /// The host is a name, to be looked up.
    named: bool,
    queue: Arc<Queue>,
    addresses: Vec<SocketAddr>,
    /// The address in use; the next ones are tried when it refuses.
    current: usize,
    socket: Option<UdpSocket>,
    offload: bool,
    /// Longer datagrams than this leave one by one: what leaves in one call cannot become fragments, so that not every
    /// network takes every length.
    longest_combined: usize,
    lookup: Arc<Mutex<Lookup>>,
    next_lookup: Instant,
}

#[derive(Debug, Default)]
enum Lookup {
    #[default]
    Idle,
    Running,
    Done(Vec<SocketAddr>),
}

impl Connection {
    pub(super) fn new(endpoint: Endpoint, offload: bool, queue: Arc<Queue>) -> Self {
        let addresses = endpoint.host().parse().map(|ip: IpAddr| SocketAddr::new(ip, endpoint.port()));
        let addresses: Vec<_> = addresses.into_iter().collect();
        Self {
            endpoint,
            named: addresses.is_empty(),
            queue,
            addresses,
            current: 0,
            socket: None,
            offload,
            longest_combined: usize::MAX,
            lookup: Arc::default(),
            next_lookup: Instant::now(),
        }
    }

    /// Whether the first lookup of the host name is still running, so that sending has to wait.
    pub(super) fn is_resolving(&mut self, now: Instant) -> bool {
        self.look_up(now);
        self.addresses.is_empty() && matches!(*self.lookup(), Lookup::Running)
    }

    /// How many datagrams of at most this length leave in one call.
    pub(super) fn max_per_call(&self, longest: usize) -> usize {
        if self.offload && longest <= self.longest_combined { gso::max_per_call(longest) } else { 1 }
    }

    /// Sends datagrams of similar size in one call.
    pub(super) fn send(&mut self, datagrams: &[&[u8]], now: Instant) -> Sent {
        self.look_up(now);
        let mut earlier_refused = false;
        if self.addresses.is_empty() {
            return Sent { earlier_refused, outcome: Outcome::Failed(Reason::Unresolved) };
        }
        let mut refusals = 0;
        let outcome = loop {
            match self.attempt(datagrams) {
                // Where there is another address to try, it pays to ask at once.
                Ok(()) if self.addresses.len() > 1 && self.has_refused() => {
                    refusals += 1;
                    if refusals == self.addresses.len() {
                        break Outcome::Refused;
                    }
                }
                Ok(()) => break Outcome::Out,
                // The error belongs to what was sent before, so this has not been sent yet.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && !earlier_refused => {
                    earlier_refused = true;
                    self.doubt_name(now);
                }
                Err(error) => {
                    // An error of this call's own may come first.
                    earlier_refused |= self.has_refused();
                    break self.fail(&error, datagrams, now);
                }
            }
            self.try_next_address();
        };
        Sent { earlier_refused, outcome }
    }

    fn fail(&mut self, error: &io::Error, datagrams: &[&[u8]], now: Instant) -> Outcome {
        let outcome = classify(error);
        let connected = self.socket.is_some();
        match outcome {
            Outcome::TooLarge | Outcome::Failed(Reason::Io) if connected && datagrams.len() > 1 => {
                self.longest_combined = gso::longest(datagrams) - 1;
                Outcome::NotInOneCall
            }
            Outcome::Failed(Reason::Io) => {
                self.doubt_name(now);
                // The network may have changed: the next attempt starts over with a new socket.
                if connected {
                    self.socket = None;
                    self.current += 1;
                }
                outcome
            }
            _ => outcome,
        }
    }

    /// Whether the datagrams that were sent last are known to be refused. This host reports that at once.
    pub(super) fn has_refused(&mut self) -> bool {
        let error = self.socket.as_ref().and_then(|socket| socket.take_error().ok().flatten());
        let refused = error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if refused {
            self.doubt_name(Instant::now());
        }
        refused
    }

    /// A daemon that does not listen at the address of its name may have moved.
    fn doubt_name(&mut self, now: Instant) {
        self.next_lookup = self.next_lookup.min(now + RETRY_AFTER);
    }

    fn attempt(&mut self, datagrams: &[&[u8]]) -> io::Result<()> {
        if self.socket.is_none() {
            self.connect()?;
        }
        let socket = self.socket.as_ref().ok_or(ErrorKind::NotConnected)?;
        loop {
            match gso::send(socket, datagrams) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Takes the first address, from the current one on, to which there is a way.
    fn connect(&mut self) -> io::Result<()> {
        let mut failures = 0;
        loop {
            match connect(self.addresses[self.current % self.addresses.len()]) {
                Ok(socket) => {
                    self.socket = Some(socket);
                    self.longest_combined = usize::MAX;
                    return Ok(());
                }
                Err(error) => {
                    self.current += 1;
                    failures += 1;
                    if failures == self.addresses.len() {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// A name with several addresses may have its daemon at any of them.
    fn try_next_address(&mut self) {
        if self.addresses.len() > 1 {
            self.current += 1;
            self.socket = None;
        }
    }

    /// Collects the answer of a lookup, and starts one when it is time. A lookup may take seconds, so it has a thread
    /// of its own.
    fn look_up(&mut self, now: Instant) {
        if !self.named {
            return;
        }
        let finished = {
            let mut lookup = self.lookup();
            match std::mem::take(&mut *lookup) {
                Lookup::Done(addresses) => Some(addresses),
                other => {
                    *lookup = other;
                    None
                }
            }
        };
        if let Some(addresses) = finished {
            self.next_lookup = now + if addresses.is_empty() { RETRY_AFTER } else { LOOKUP_EVERY };
            if !addresses.is_empty() && addresses != self.addresses {
                self.addresses = addresses;
                self.current = 0;
                self.socket = None;
            }
        }
        if now < self.next_lookup || !matches!(*self.lookup(), Lookup::Idle) {
            return;
        }
        *self.lookup() = Lookup::Running;
        let (host, port) = (self.endpoint.host().to_owned(), self.endpoint.port());
        let (lookup, queue) = (self.lookup.clone(), self.queue.clone());
        let started = thread::Builder::new().name("xray-lookup".to_owned()).stack_size(256 * 1024).spawn(move || {
            let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
            *lookup.lock().unwrap_or_else(PoisonError::into_inner) = Lookup::Done(addresses);
            queue.wake();
        });
        if started.is_err() {
            *self.lookup() = Lookup::Idle;
            self.next_lookup = now + RETRY_AFTER;
        }
    }

    fn lookup(&self) -> MutexGuard<'_, Lookup> {
        self.lookup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connected socket: the kernel reports refusals on it.
fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok(socket)
}

fn classify(error: &io::Error) -> Outcome {
    /// `EMSGSIZE`, which has no kind of its own: 90 on Linux, 40 on the BSDs and macOS, 10040 on Windows.
    const MESSAGE_TOO_LONG: [i32; 3] = [90, 40, 10040];
    match error.kind() {
        ErrorKind::ConnectionRefused => Outcome::Refused,
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Outcome::Failed(Reason::WouldBlock),
        _ if error.raw_os_error().is_some_and(|code| MESSAGE_TOO_LONG.contains(&code)) => Outcome::TooLarge,
        _ => Outcome::Failed(Reason::Io),
    }
}
