//! A burst arrives completely at a receiver like the daemon: a default socket buffer, one `recv` per datagram.
//!
//! A program of its own, so that no other test keeps the receiver from running.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::HashSet, net::UdpSocket, thread, time::Duration};

use tower_xray::{Recorder, emitter::UdpEmitter, sampling::SampleAll};

const BURST: usize = 20_000;

#[test]
fn a_burst_arrives_completely() {
    // A machine that is busy with something else may let the receiver wait too long, but hardly every time.
    let arrived: Vec<usize> = (0..4).map(|_| arrivals()).take_while(|arrived| *arrived < BURST).collect();
    assert!(arrived.len() < 4, "of {BURST} documents only {arrived:?} arrived");
}

fn arrivals() -> usize {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let address = receiver.local_addr().unwrap().to_string();
    let emitter = UdpEmitter::builder(address.parse().unwrap()).max_queue_bytes(64 << 20).build().unwrap();
    let recorder = Recorder::builder().environment(|_| None).emitter(emitter).sampling(SampleAll).build().unwrap();
    let counting = thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        let mut documents = HashSet::new();
        while documents.len() < BURST {
            let Ok(len) = receiver.recv(&mut buffer) else { break };
            // The id is the first field after the header line.
            let document = buffer[..len].split(|byte| *byte == b'\n').nth(1).unwrap();
            documents.insert(document[..25].to_owned());
        }
        documents.len()
    });
    for _ in 0..BURST {
        recorder.begin_segment("report").close();
    }
    assert_eq!(recorder.flush(Duration::from_secs(60)).wait(), 0);
    let stats = recorder.stats();
    assert_eq!((stats.emitted, stats.dropped.total()), (BURST as u64, 0));
    counting.join().unwrap()
}
