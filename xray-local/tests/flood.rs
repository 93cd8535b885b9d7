//! Floods of good, heavy and broken input at the local daemon: its memory is bounded, and it serves on.
//!
//! The numbers that it prints are the most that was allocated in each part, above what the empty daemon has.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test talks to a person, and may fail")]

use std::{
    alloc::System,
    io::{Read, Write},
    net::{Shutdown, TcpStream, UdpSocket},
    time::Duration,
};

use cap::Cap;
use serde_json::{Value, json};
use xray_local::{LocalDaemon, LocalStats};

/// Knows how many bytes are allocated right now.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What the daemon promises for its traces, and as much again for what comes and goes: a document that is read, and how
/// far an estimate may be off.
const MOST_BY_UDP: usize = 2 * (64 << 20);

/// 64 connections with a request of 1 MiB each, in buffers that have grown beyond that.
const MOST_BY_TCP: usize = 64 * (3 << 20);

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn whatever_is_sent_to_the_local_daemon_its_memory_is_bounded_and_it_serves_on() {
    let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
    let flood = Flood { socket: UdpSocket::bind("127.0.0.1:0").unwrap(), daemon, empty: ALLOCATOR.allocated() };
    let heavy: Vec<_> = (0..6_000).map(|_| json!({ "a": 1 })).collect();
    let (none, heavy) = (json!({}), json!({ "default": { "a": heavy } }));
    let mut random = fastrand::Rng::with_seed(7);
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };

    let most = flood.run(2_000, || datagram(&segment(next(), 1, &none)));
    println!("documents of one trace: {most} bytes");
    let most = most.max(flood.run(1_500, || {
        let number = next();
        datagram(&segment(number, number, &none))
    }));
    println!("with documents of a trace each: {most} bytes");
    let most = most.max(flood.run(40, || {
        let number = next();
        datagram(&segment(number, number % 3, &heavy))
    }));
    println!("with documents that are heavy in memory: {most} bytes");
    let most = most.max(flood.run(300, || {
        // Every key is worth a problem.
        let keys = (0..100).map(|key| (format!("Name{key}\u{1b}{}", "x".repeat(60)), json!(1)));
        let mut document = segment(next(), 2, &none);
        document["annotations"] = keys.collect();
        datagram(&document)
    }));
    println!("with many problems: {most} bytes");
    let valid = datagram(&segment(1, 1, &json!({ "default": { "é": ["\u{1f4a9}"] } })));
    let most = most.max(flood.run(5_000, || {
        let mut broken = valid.clone();
        for _ in 0..random.usize(1..20) {
            let at = random.usize(..broken.len());
            match random.u8(..4) {
                0 => broken.truncate(at + 1),
                1 => broken[at] ^= 1 << random.u8(..8),
                2 => broken.insert(at, *random.choice(b"\"\\{}[]\n\0\xff-9e").unwrap()),
                _ => broken.extend((0..random.usize(1..100)).map(|_| random.u8(..))),
            }
        }
        broken
    }));
    println!("with garbage: {most} bytes");
    let LocalStats { datagrams, documents, invalid, .. } = flood.daemon.stats();
    assert_eq!(datagrams, documents + invalid);
    assert!(invalid > 4_000, "{invalid} of {datagrams}");
    assert!(most < MOST_BY_UDP, "{most} bytes");
    assert!(flood.daemon.problems().len() <= 1_000 && flood.daemon.traces().len() <= 1_000);

    // Everything is text for a terminal.
    let shown: String = flood.daemon.take_problems().iter().map(ToString::to_string).collect();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    drop(flood.daemon.take_settled(Duration::ZERO));

    let before = ALLOCATOR.allocated();
    let most = by_tcp(&flood.daemon).saturating_sub(before);
    println!("by TCP: {most} bytes");
    assert!(most < MOST_BY_TCP, "{most} bytes");
    let answer = post(&flood.daemon, b"{}").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    flood.run(1, || datagram(&segment(1, 1, &none)));
    assert_eq!(flood.daemon.traces().len(), 1);
}

struct Flood {
    socket: UdpSocket,
    daemon: LocalDaemon,
    empty: usize,
}

impl Flood {
    /// Sends so many datagrams, no faster than they are taken; the most that was allocated.
    fn run(&self, count: u64, mut datagram: impl FnMut() -> Vec<u8>) -> usize {
        // What a socket's buffer holds for sure; the kernel counts more than the bytes.
        const UNREAD: usize = 24 * 1024;

        let (mut most, mut unread) = (0, 0);
        let before = self.daemon.stats().datagrams;
        for number in 1..=count {
            let datagram = datagram();
            self.socket.send_to(&datagram, self.daemon.local_addr()).unwrap();
            unread += datagram.len();
            if unread > UNREAD || number == count {
                unread = 0;
                assert!(
                    self.daemon.wait_until(PATIENCE, |stats| stats.datagrams >= before + number),
                    "{:?}",
                    self.daemon.stats()
                );
            }
            most = most.max(ALLOCATOR.allocated().saturating_sub(self.empty));
        }
        most
    }
}

fn datagram(document: &Value) -> Vec<u8> {
    format!("{{\"format\":\"json\",\"version\":1}}\n{document}").into_bytes()
}

fn segment(id: usize, trace: usize, metadata: &Value) -> Value {
    json!({
        "name": "orders", "id": format!("{id:016x}"), "trace_id": format!("1-68a1f0c4-{:024x}", trace + 1),
        "start_time": 1_755_443_396.1, "end_time": 1_755_443_396.3, "metadata": metadata,
    })
}

/// A hundred clients that send all but the last byte of a large request, and others that send garbage; the most that was
/// allocated.
fn by_tcp(daemon: &LocalDaemon) -> usize {
    let connect = || TcpStream::connect(daemon.local_addr()).unwrap();
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    let body = vec![b'['; (1 << 20) - 1];
    let mut most = 0;
    for stream in &mut slow {
        stream.set_nonblocking(true).unwrap();
        let head = format!("POST /SamplingTargets HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len() + 1);
        stream.write_all(head.as_bytes()).unwrap();
    }
    // Some of them are let in, and read; the others wait.
    let mut written = vec![0; slow.len()];
    let mut idle = 0;
    while idle < 50 {
        idle += 1;
        for (stream, written) in slow.iter_mut().zip(&mut written) {
            if let Ok(len) = stream.write(&body[*written..]) {
                *written += len;
                idle = if len > 0 { 0 } else { idle };
            }
        }
        most = most.max(ALLOCATOR.allocated());
        let _ = daemon.wait_until(Duration::from_millis(2), |_| false);
    }
    assert!(written.iter().filter(|written| **written == body.len()).count() >= 64, "{written:?}");
    drop(slow);
    for garbage in [
        &b"\0\xff\xfe"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /SamplingTargets HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut stream = connect();
        stream.write_all(garbage).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Whatever it says, it ends.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    for body in
        [&body[..], &[b'['; 100_000], b"[1", b"\xff", br#"{"SamplingStatisticsDocuments":[{"ClientID":"\u001b"}]}"#]
    {
        let answer = post(daemon, body).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        most = most.max(ALLOCATOR.allocated());
    }
    most
}

fn post(daemon: &LocalDaemon, body: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(daemon.local_addr())?;
    let path = if body == b"{}" { "/GetSamplingRules" } else { "/SamplingTargets" };
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
