//! In: an address. Out: a UDP and a TCP socket at one port, and which of their errors pass.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};

/// How often to try for a port that is free for UDP and for TCP.
const ATTEMPTS: usize = 16;

/// Two sockets at one address. With port 0, a port that TCP has already is not the last word.
pub(crate) fn bind_both(addr: impl ToSocketAddrs) -> io::Result<(UdpSocket, TcpListener)> {
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

/// True for errors that do not last.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | Interrupted | TimedOut | WouldBlock)
}

/// Sends an empty datagram.
pub(crate) fn wake(mut addr: SocketAddr) -> io::Result<usize> {
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
