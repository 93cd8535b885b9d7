//! The emitter over real sockets: what arrives, and an exact account of what does not.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tower_xray::{
    Recorder,
    emitter::{Flush, UdpEmitter},
    local::{LocalDaemon, check_datagram, check_document},
    recorder::Stats,
    sampling::SampleAll,
};

use crate::{
    outline::{parents, text},
    support::recorder_with,
};

/// Longer than anything here takes, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const HEADER: &[u8] = b"{\"format\":\"json\",\"version\":1}\n";

/// A recorder that sends to this address.
pub(crate) fn sending_to(address: &impl ToString) -> Recorder {
    let address = address.to_string().parse().unwrap();
    Recorder::builder().environment(|_| None).sampling(SampleAll).daemon_address(address).build().unwrap()
}

fn sending_by(emitter: UdpEmitter) -> Recorder {
    recorder_with(|builder| builder.emitter(emitter)).0
}

/// Listens as a daemon does, with the socket buffer that every process gets.
struct Receiver(UdpSocket);

impl Receiver {
    fn bind(address: &str) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 65_536];
        let len = self.0.recv(&mut buffer).expect("a datagram");
        buffer.truncate(len);
        buffer
    }

    fn receive_name(&self) -> String {
        let document = check_datagram(&self.receive()).unwrap();
        text(&document, "name").to_owned()
    }
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    Receiver::bind("127.0.0.1:0").address()
}

/// How many documents were left; panics rather than hang.
pub(crate) fn ended(flush: Flush) -> usize {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || done.send(flush.wait()));
    wait.recv_timeout(PATIENCE).expect("a flush that ends")
}

pub(crate) fn flushed(recorder: &Recorder) -> Stats {
    assert_eq!(ended(recorder.flush(PATIENCE)), 0);
    recorder.stats()
}

pub(crate) fn accounted(stats: &Stats) -> u64 {
    stats.emitted + stats.dropped.total()
}

#[test]
fn a_datagram_is_the_header_line_and_one_document() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let recorder = sending_to(&receiver.address());
    let segment = recorder.begin_segment("report");
    let id = segment.id().unwrap().to_string();
    segment.add_annotation("text", "two\nlines");
    segment.begin_subsegment("query").close();
    segment.close();
    let datagram = receiver.receive();
    let document = datagram.strip_prefix(HEADER).expect("the header");
    let document: Value = serde_json::from_slice(document).unwrap();
    assert_eq!(check_document(&document), []);
    assert_eq!((text(&document, "id"), text(&document["subsegments"][0], "name")), (&*id, "query"));
    let stats = flushed(&recorder);
    assert_eq!((stats.opened, stats.emitted, stats.dropped.total()), (1, 1, 0));
}

#[test]
fn addresses_and_names_are_all_found() {
    for (bind, host) in [("127.0.0.1:0", "127.0.0.1"), ("127.0.0.1:0", "localhost"), ("[::1]:0", "[::1]")] {
        let receiver = Receiver::bind(bind);
        let recorder = sending_to(&format!("{host}:{}", receiver.address().port()));
        recorder.begin_segment("first").close();
        recorder.begin_segment("second").close();
        assert_eq!([receiver.receive_name(), receiver.receive_name()], ["first", "second"], "{host}");
        assert_eq!(flushed(&recorder).emitted, 2);
    }
}

#[test]
fn the_environment_names_the_daemon() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let address = format!("tcp:127.0.0.1:1 udp:{}", receiver.address());
    let lookup = move |name: &str| (name == "AWS_XRAY_DAEMON_ADDRESS").then(|| address.clone());
    let recorder = Recorder::builder()
        .environment(lookup)
        .daemon_address(nobody().to_string().parse().unwrap())
        .sampling(SampleAll)
        .build()
        .unwrap();
    recorder.begin_segment("report").close();
    assert_eq!(receiver.receive_name(), "report");
}

#[test]
fn nobody_listening_is_counted_exactly_and_costs_nothing_once_somebody_does() {
    let address = nobody();
    let recorder = sending_to(&address);
    for _ in 0..5 {
        recorder.begin_segment("lost").close();
    }
    let stats = flushed(&recorder);
    assert_eq!((stats.emitted, stats.dropped.refused, stats.dropped.total()), (0, 5, 5));

    let receiver = Receiver::bind(&address.to_string());
    for name in ["a", "b", "c"] {
        recorder.begin_segment(name).close();
    }
    assert_eq!([receiver.receive_name(), receiver.receive_name(), receiver.receive_name()], ["a", "b", "c"]);
    let stats = flushed(&recorder);
    assert_eq!((stats.emitted, stats.dropped.refused, stats.dropped.total()), (3, 5, 5));

    drop(receiver);
    recorder.begin_segment("lost").close();
    let stats = flushed(&recorder);
    assert_eq!((stats.emitted, stats.dropped.refused, stats.dropped.total()), (3, 6, 6));
}

#[tokio::test]
async fn flush_and_shutdown_can_be_awaited_in_any_runtime_and_in_none() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let recorder = sending_to(&receiver.address());
    recorder.begin_segment("first").close();
    assert_eq!(recorder.flush(PATIENCE).await, 0);
    assert_eq!(recorder.stats().emitted, 1);
    recorder.begin_segment("second").close();
    let waiting = recorder.clone();
    assert_eq!(thread::spawn(move || waiting.flush(PATIENCE).wait()).join().unwrap(), 0);
    recorder.begin_segment("third").close();
    let (one, two) = tokio::join!(recorder.flush(PATIENCE), recorder.shutdown(PATIENCE));
    assert_eq!((one, two, recorder.stats().emitted), (0, 0, 3));
    assert_eq!(
        [receiver.receive_name(), receiver.receive_name(), receiver.receive_name()],
        ["first", "second", "third"]
    );
}

#[test]
fn after_the_shutdown_documents_are_counted_and_waiting_ends_at_once() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let recorder = sending_to(&receiver.address());
    let late = recorder.begin_segment("late");
    recorder.begin_segment("in time").close();
    assert_eq!(ended(recorder.shutdown(PATIENCE)), 0);
    late.close();
    recorder.begin_segment("later").close();
    assert_eq!(ended(recorder.flush(PATIENCE)), 0);
    assert_eq!(ended(recorder.shutdown(PATIENCE)), 0);
    let stats = recorder.stats();
    assert_eq!((stats.opened, stats.emitted, stats.dropped.shutdown, stats.dropped.total()), (3, 1, 2, 2));
    assert_eq!(receiver.receive_name(), "in time");
}

#[test]
fn a_flush_with_nothing_to_do_ends_at_once() {
    let recorder = sending_to(&nobody());
    assert_eq!(ended(recorder.flush(Duration::ZERO)), 0);
    assert_eq!(ended(recorder.flush(Duration::MAX)), 0);
    assert_eq!(ended(recorder.shutdown(Duration::ZERO)), 0);
    assert_eq!(accounted(&recorder.stats()), 0);
}

#[test]
fn a_deadline_that_has_passed_leaves_documents_and_says_how_many() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let recorder = sending_to(&receiver.address());
    for _ in 0..1_000 {
        recorder.begin_segment("report").close();
    }
    let left = ended(recorder.shutdown(Duration::ZERO)) as u64;
    let stats = recorder.stats();
    assert_eq!((stats.dropped.shutdown, accounted(&stats)), (left, 1_000));
}

#[test]
fn a_flush_that_cannot_wait_for_the_name_costs_no_document() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let recorder = sending_to(&format!("localhost:{}", receiver.address().port()));
    recorder.begin_segment("report").close();
    let _ = ended(recorder.flush(Duration::ZERO));
    assert_eq!(receiver.receive_name(), "report");
    assert_eq!(flushed(&recorder).emitted, 1);
}

#[test]
fn a_name_that_has_no_address_keeps_nobody_waiting_beyond_the_deadline() {
    let recorder = sending_to(&"does-not-exist.invalid:2000");
    for _ in 0..10 {
        recorder.begin_segment("report").close();
    }
    let begun = Instant::now();
    let left = ended(recorder.shutdown(Duration::from_millis(100))) as u64;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let dropped = recorder.stats().dropped;
    assert_eq!((dropped.shutdown, dropped.unresolved + dropped.shutdown, dropped.total()), (left, 10, 10));
}

#[test]
fn a_full_queue_is_counted_exactly() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let builder = UdpEmitter::builder(receiver.address().to_string().parse().unwrap());
    let recorder = sending_by(builder.max_queue_bytes(1).build().unwrap());
    // At least one document of the largest size fits, but not a rain of them.
    let segments: Vec<_> = (0..200).map(|_| recorder.begin_segment("report")).collect();
    for segment in &segments {
        segment.add_metadata("m", "x".repeat(40_000));
    }
    drop(segments);
    let stats = flushed(&recorder);
    assert!(stats.emitted > 0 && stats.dropped.overflow > 0, "{stats:?}");
    assert_eq!((stats.emitted + stats.dropped.overflow, accounted(&stats)), (200, 200));
    // What was full is empty again.
    recorder.begin_segment("after").close();
    assert_eq!(flushed(&recorder).emitted, stats.emitted + 1);
}

#[test]
fn every_document_is_accounted_for_while_others_shut_down() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let recorder = sending_to(&receiver.address());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    recorder.begin_segment("report").close();
                }
            });
        }
        scope.spawn(|| {
            while recorder.stats().opened < 500 {
                thread::yield_now();
            }
            let _ = ended(recorder.shutdown(PATIENCE));
        });
    });
    let stats = recorder.stats();
    assert_eq!((stats.opened, accounted(&stats)), (2_000, 2_000));
    assert!(stats.emitted > 0, "{stats:?}");
}

#[test]
fn dropping_the_recorder_still_delivers() {
    let receiver = Receiver::bind("127.0.0.1:0");
    let recorder = sending_to(&receiver.address());
    for number in 0..50 {
        recorder.begin_segment(&number.to_string()).close();
    }
    drop(recorder);
    let names: Vec<String> = (0..50).map(|_| receiver.receive_name()).collect();
    assert_eq!(names, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[test]
fn large_segments_arrive_as_pieces_that_a_daemon_takes() {
    for (max_bytes, pieces) in [(64_000, 2), (4_096, 5)] {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        let builder = UdpEmitter::builder(daemon.local_addr().to_string().parse().unwrap());
        let recorder = sending_by(builder.max_document_bytes(max_bytes).build().unwrap());
        let segment = recorder.begin_segment("report");
        for _ in 0..6 {
            segment.begin_subsegment("step").add_metadata("m", "x".repeat(12_000));
        }
        segment.close();
        let stats = flushed(&recorder);
        assert!(daemon.wait_for(stats.emitted, PATIENCE));
        assert_eq!((daemon.problems().len(), stats.dropped.total()), (0, 0), "{:?}", daemon.problems());
        assert!(stats.emitted >= pieces, "{stats:?}");
        let trace = &daemon.traces()[0];
        let sizes: Vec<usize> = trace.documents().iter().map(|document| document.to_string().len()).collect();
        assert!(sizes.iter().all(|size| *size <= max_bytes), "{sizes:?}");
        assert_eq!(parents(trace.documents()).len(), 7);
    }
}
