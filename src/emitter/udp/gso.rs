//! Generic segmentation offload: Linux cuts one long datagram into pieces of equal size (`UDP_SEGMENT`).
//!
//! In: datagrams, and a socket. Out: as few calls as possible. A document may be followed by white space, so documents of
//! similar size are padded to the same. On other systems, and where it does not work, every datagram leaves by itself.

use std::{io, net::UdpSocket};

/// A call takes fewer bytes than this, whatever the protocol.
const MAX_BYTES: usize = 64_000;
/// A call takes no more datagrams than this (`UDP_MAX_SEGMENTS`).
const MAX_DATAGRAMS: usize = 64;

/// Sorts datagrams by length, into runs whose longest is longer than its shortest by an eighth at most.
pub(super) fn by_size<'a, 'b>(datagrams: &'a mut [&'b [u8]]) -> impl Iterator<Item = &'a [&'b [u8]]> {
    fn limit(datagram: &[u8]) -> usize {
        datagram.len() + datagram.len() / 8
    }

    datagrams.sort_by_key(|datagram| datagram.len());
    let mut longest = datagrams.first().map_or(0, |shortest| limit(shortest));
    datagrams.chunk_by(move |_, next| {
        let similar = next.len() <= longest;
        if !similar {
            longest = limit(next);
        }
        similar
    })
}

/// The length of the longest in such a run.
pub(super) fn longest(datagrams: &[&[u8]]) -> usize {
    datagrams.last().map_or(0, |datagram| datagram.len())
}

/// How many datagrams of at most this length leave in one call.
pub(super) fn max_per_call(longest: usize) -> usize {
    if sys::works() { (MAX_BYTES / longest.max(1)).clamp(1, MAX_DATAGRAMS) } else { 1 }
}

/// Sends datagrams of such a run, of which there are no more than [`max_per_call`] allows.
pub(super) fn send(socket: &UdpSocket, datagrams: &[&[u8]]) -> io::Result<()> {
    match datagrams {
        [datagram] => socket.send(datagram).map(drop),
        _ => sys::send(socket, datagrams),
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use std::{
        io::{self, IoSlice},
        net::{Ipv4Addr, UdpSocket},
        sync::LazyLock,
        time::Duration,
    };

    use socket2::{MsgHdr, SockRef};

    use super::{MAX_BYTES, MAX_DATAGRAMS, longest};

    /// As much as the first of two datagrams can be shorter than the other.
    static PADDING: [u8; MAX_BYTES / 2 / 8] = [b' '; MAX_BYTES / 2 / 8];

    /// All are padded to the last, which is the longest.
    pub(super) fn send(socket: &UdpSocket, datagrams: &[&[u8]]) -> io::Result<()> {
        let longest = longest(datagrams);
        let mut parts = [IoSlice::new(&[]); 2 * MAX_DATAGRAMS];
        for (pair, datagram) in parts.chunks_exact_mut(2).zip(datagrams) {
            pair[0] = IoSlice::new(datagram);
            pair[1] = IoSlice::new(&PADDING[..longest - datagram.len()]);
        }
        let parts = &parts[..2 * datagrams.len() - 1];
        let control = cut_into(longest as u16);
        SockRef::from(socket).sendmsg(&MsgHdr::new().with_buffers(parts).with_control(&control), 0).map(drop)
    }

    /// The control message (cmsg(3)) for pieces of this size.
    fn cut_into(size: u16) -> Vec<u8> {
        const SOL_UDP: i32 = 17;
        const UDP_SEGMENT: i32 = 103;
        let len = size_of::<usize>() + 2 * size_of::<i32>() + size_of::<u16>();
        [&len.to_ne_bytes()[..], &SOL_UDP.to_ne_bytes(), &UDP_SEGMENT.to_ne_bytes(), &size.to_ne_bytes()].concat()
    }

    /// Whether the kernel cuts. One that does not know how would send one long datagram, so it is tried out.
    pub(super) fn works() -> bool {
        static WORKS: LazyLock<bool> = LazyLock::new(|| try_out().unwrap_or(false));
        *WORKS
    }

    fn try_out() -> io::Result<bool> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        send(&socket, &[b"1", b"2"])?;
        Ok(socket.recv(&mut [0; 2])? == 1)
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::{io, net::UdpSocket};

    pub(super) fn send(_: &UdpSocket, _: &[&[u8]]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn works() -> bool {
        false
    }
}
