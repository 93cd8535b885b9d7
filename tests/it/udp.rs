//! The emitter over real sockets: what arrives, and an exact account of what does not.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tower_xray::{
    Recorder,
    emitter::{Flush, UdpEmitter, UdpEmitterBuilder},
    recorder::Stats,
    sampling::SampleAll,
};
use xray_local::{LocalDaemon, check_datagram, check_document};

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

fn building_for(address: SocketAddr) -> UdpEmitterBuilder {
    UdpEmitter::builder(address.to_string().parse().unwrap())
}

/// Emits a document of about this many bytes.
fn emit(recorder: &Recorder, name: &str, bytes: usize) {
    const EMPTY: usize = 340;
    let segment = recorder.begin_segment(name);
    segment.add_metadata("m", "x".repeat(bytes.saturating_sub(EMPTY)));
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
fn a_flush_that_comes_while_the_name_is_looked_up_ends() {
    let receiver = Receiver::bind("127.0.0.1:0");
    for _ in 0..50 {
        let recorder = sending_to(&format!("localhost:{}", receiver.address().port()));
        recorder.begin_segment("report").close();
        // Ends as soon as the lookup has begun.
        let _ = recorder.flush(Duration::ZERO).wait();
        assert_eq!(flushed(&recorder).emitted, 1);
        assert_eq!(receiver.receive_name(), "report");
    }
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
    let builder = building_for(receiver.address());
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
    let documents = receive_all(&receiver, 50);
    assert!((0..50).all(|number| documents.contains_key(&number.to_string())));
}

#[test]
fn large_segments_arrive_as_pieces_that_a_daemon_takes() {
    for (max_bytes, pieces) in [(64_000, 2), (4_096, 5)] {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        let builder = building_for(daemon.local_addr());
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

/// Documents by name, each the only one of its datagram, and how many blanks follow it.
fn receive_all(receiver: &Receiver, count: usize) -> BTreeMap<String, (Value, usize)> {
    let datagrams = (0..count).map(|_| {
        let datagram = receiver.receive();
        let document = check_datagram(&datagram).unwrap();
        assert_eq!(check_document(&document), []);
        let blanks = datagram.len() - datagram.trim_ascii_end().len();
        (text(&document, "name").to_owned(), (document, blanks))
    });
    let documents: BTreeMap<_, _> = datagrams.collect();
    assert_eq!(documents.len(), count, "each once");
    documents
}

/// So many names, each of them of a length of its own.
fn names(count: usize) -> Vec<String> {
    (1..=count).map(|length| "n".repeat(length)).collect()
}

#[test]
fn documents_that_leave_together_are_datagrams_of_their_own() {
    for together in [true, false] {
        let receiver = Receiver::bind("127.0.0.1:0");
        let recorder = sending_by(building_for(receiver.address()).segmentation_offload(together).build().unwrap());
        let names = names(100);
        for name in &names {
            recorder.begin_segment(name).close();
        }
        let documents = receive_all(&receiver, names.len());
        assert!(names.iter().all(|name| documents.contains_key(name)));
        let padded = documents.values().filter(|(_, blanks)| *blanks > 0).count();
        assert_eq!(padded > 0, together && cfg!(target_os = "linux"), "{padded}");
        let stats = flushed(&recorder);
        assert_eq!((stats.emitted, stats.dropped.total()), (100, 0));
    }
}

#[test]
fn documents_of_all_sizes_leave_as_they_are() {
    for bind in ["127.0.0.1:0", "[::1]:0"] {
        let receiver = Receiver::bind(bind);
        let recorder = sending_to(&receiver.address());
        // No more at once than the receiver's buffer holds.
        let rounds: [&[usize]; 4] = [
            &[340, 63_000, 350, 1_500, 360, 340, 1_600, 1_400],
            &[32_100, 32_200, 340],
            &[31_600, 31_700, 31_800],
            &[8_000, 8_100, 8_200, 8_300, 8_400, 8_500, 340, 350, 4_000],
        ];
        for sizes in rounds {
            let names = names(sizes.len());
            for (name, size) in names.iter().zip(sizes) {
                emit(&recorder, name, *size);
            }
            let documents = receive_all(&receiver, sizes.len());
            for (name, size) in names.iter().zip(sizes) {
                let (document, blanks) = &documents[name];
                let len = document.to_string().len();
                assert!(len.abs_diff(*size) < 100, "{len} {size}");
                assert!(*blanks <= len / 8, "{blanks} {len}");
            }
        }
        let stats = flushed(&recorder);
        assert_eq!((stats.emitted, stats.dropped.total()), (23, 0));
    }
}

#[test]
fn documents_that_are_refused_together_are_counted_each() {
    let recorder = sending_to(&nobody());
    for round in 1..=3 {
        for (number, name) in names(40).iter().enumerate() {
            emit(&recorder, name, if number % 2 == 0 { 340 } else { 3_000 });
        }
        let stats = flushed(&recorder);
        assert_eq!((stats.emitted, stats.dropped.refused, stats.dropped.total()), (0, 40 * round, 40 * round));
    }
}

#[test]
fn what_can_never_be_sent_is_given_up_and_counted_each() {
    // Sockets may not broadcast unless they ask for it.
    let recorder = sending_to(&"255.255.255.255:2000");
    for round in 1..=2 {
        for _ in 0..20 {
            recorder.begin_segment("report").close();
        }
        let stats = flushed(&recorder);
        assert_eq!((stats.emitted, stats.dropped.io, stats.dropped.total()), (0, 20 * round, 20 * round));
    }
}

#[test]
fn a_shutdown_does_not_wait_for_retries_beyond_its_deadline() {
    let recorder = sending_to(&"255.255.255.255:2000");
    recorder.begin_segment("report").close();
    failed_once(&recorder);
    assert_eq!(ended(recorder.shutdown(Duration::ZERO)), 1);
    let dropped = recorder.stats().dropped;
    assert_eq!((dropped.shutdown, dropped.total()), (1, 1));
}

/// Returns after the first attempt to send what was emitted has failed.
fn failed_once(recorder: &Recorder) {
    // The first flush may be answered just before the attempt, but not the second one.
    for _ in 0..2 {
        assert!(ended(recorder.flush(Duration::ZERO)) > 0);
    }
}

/// Several threads emit, flush and shut down as they like. `SEED=<number>` repeats a run.
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a run says its seed, and can be told one")]
fn every_document_of_any_use_is_accounted_for() {
    let seed = std::env::var("SEED").ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..30 {
        let receiver = Receiver::bind("127.0.0.1:0");
        let address = if random.u8(..) % 4 == 0 { nobody() } else { receiver.address() };
        let queue = [1, 1 << 18, 4 << 20][random.usize(..3)];
        let builder = building_for(address).segmentation_offload(random.bool()).max_queue_bytes(queue);
        let recorder = sending_by(builder.build().unwrap());
        let last = UdpSocket::bind("127.0.0.1:0").unwrap();
        last.connect(receiver.address()).unwrap();
        let receiving = thread::spawn(move || {
            let mut names = Vec::new();
            loop {
                match receiver.receive().as_slice() {
                    b"" => return names,
                    datagram => names.push(text(&check_datagram(datagram).unwrap(), "name").to_owned()),
                }
            }
        });
        thread::scope(|scope| {
            for number in 0..4 {
                let (mut random, recorder) = (random.fork(), &recorder);
                scope.spawn(move || use_as_you_like(recorder, number, &mut random));
            }
        });
        let _ = ended(recorder.shutdown(Duration::from_micros(random.u64(..20_000))));
        while !receiving.is_finished() {
            // Fails once it has been received.
            let _ = last.send(b"");
            thread::yield_now();
        }
        let mut names = receiving.join().unwrap();
        let stats = recorder.stats();
        assert_eq!(stats.opened, accounted(&stats), "round {round}: {stats:?}");
        assert!(names.len() as u64 <= stats.emitted, "round {round}: {} {stats:?}", names.len());
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "round {round}: twice in {names:?}");
    }
}

fn use_as_you_like(recorder: &Recorder, number: usize, random: &mut fastrand::Rng) {
    for step in 0..random.usize(1..200) {
        match random.u8(..) {
            0 => drop(recorder.shutdown(Duration::from_micros(random.u64(..20_000)))),
            1..8 => drop(ended(recorder.flush(Duration::from_micros(random.u64(..2_000))))),
            8..16 => drop(recorder.flush(PATIENCE)),
            16..24 => thread::yield_now(),
            24..32 => emit(recorder, &format!("{number}-{step}"), random.usize(340..60_000)),
            _ => emit(recorder, &format!("{number}-{step}"), random.usize(340..1_500)),
        }
    }
}

/// Small packets, and nobody else's: what leaves in one call cannot become fragments.
#[cfg(target_os = "linux")]
mod in_a_network_of_its_own {
    use std::process::Command;

    use super::*;

    const MODULE: &str = "udp::in_a_network_of_its_own";

    /// Does the test in a network of its own, as a process of its own; not at all where nobody may have one.
    fn alone(test: &str, body: impl FnOnce()) {
        const ALONE: &str = "TOWER_XRAY_TEST_IS_ALONE";
        if std::env::var_os(ALONE).is_some() {
            return body();
        }
        let in_network = |command: &str| {
            Command::new("unshare")
                .args(["--user", "--map-root-user", "--net", "sh", "-c"])
                .arg(format!("ip link set lo mtu 1000 up && {command}"))
                .args([std::env::current_exe().unwrap().to_str().unwrap(), "--exact", &format!("{MODULE}::{test}")])
                .env(ALONE, "")
                .output()
        };
        if !in_network("true").is_ok_and(|output| output.status.success()) {
            return;
        }
        let output = in_network("exec \"$0\" \"$@\"").unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    fn long_documents_leave_one_by_one() {
        alone("long_documents_leave_one_by_one", || {
            let receiver = Receiver::bind("127.0.0.1:0");
            let recorder = sending_to(&receiver.address());
            let mut padded = [0, 0];
            for _ in 0..3 {
                let names = names(60);
                for (number, name) in names.iter().enumerate() {
                    emit(&recorder, name, [340, 2_000][number % 2]);
                }
                let documents = receive_all(&receiver, names.len());
                for (number, name) in names.iter().enumerate() {
                    padded[number % 2] += usize::from(documents[name].1 > 0);
                }
            }
            assert!(padded[0] > 0 && padded[1] == 0, "{padded:?}");
            let stats = flushed(&recorder);
            assert_eq!((stats.emitted, stats.dropped.total()), (180, 0));
        });
    }

    #[test]
    fn refusals_are_counted_each() {
        alone("refusals_are_counted_each", || {
            let recorder = sending_to(&nobody());
            for (number, name) in names(60).iter().enumerate() {
                emit(&recorder, name, [340, 2_000][number % 2]);
            }
            let stats = flushed(&recorder);
            assert_eq!((stats.emitted, stats.dropped.refused, stats.dropped.total()), (0, 60, 60));
        });
    }

    fn change_address(change: &str, address: &str) {
        let status = Command::new("ip").args(["address", change, address, "dev", "lo"]).status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn every_document_leaves_by_itself_where_leaving_together_cannot_be_tried() {
        alone("every_document_leaves_by_itself_where_leaving_together_cannot_be_tried", || {
            change_address("del", "127.0.0.1/8");
            change_address("add", "10.0.0.1/32");
            let receiver = Receiver::bind("10.0.0.1:0");
            let recorder = sending_to(&receiver.address());
            let names = names(100);
            for name in &names {
                recorder.begin_segment(name).close();
            }
            let documents = receive_all(&receiver, names.len());
            assert!(documents.values().all(|(_, blanks)| *blanks == 0));
            assert_eq!(flushed(&recorder).emitted, 100);
        });
    }

    #[test]
    fn documents_are_sent_again_once_the_network_is_back() {
        alone("documents_are_sent_again_once_the_network_is_back", || {
            let receiver = Receiver::bind("127.0.0.1:0");
            let recorder = sending_to(&receiver.address());
            for round in 1..=3 {
                change_address("del", "127.0.0.1/8");
                let names = names(100);
                for name in &names {
                    recorder.begin_segment(name).close();
                }
                failed_once(&recorder);
                change_address("add", "127.0.0.1/8");
                let documents = receive_all(&receiver, names.len());
                assert!(names.iter().all(|name| documents.contains_key(name)));
                let stats = flushed(&recorder);
                assert_eq!((stats.emitted, stats.dropped.total()), (100 * round, 0));
            }
        });
    }

    #[test]
    fn what_waits_to_be_sent_again_fills_the_queue() {
        alone("what_waits_to_be_sent_again_fills_the_queue", || {
            let receiver = Receiver::bind("127.0.0.1:0");
            let recorder = sending_by(building_for(receiver.address()).max_queue_bytes(1).build().unwrap());
            change_address("del", "127.0.0.1/8");
            emit(&recorder, "waits", 40_000);
            failed_once(&recorder);
            for name in ["fits", "does not fit", "nor does this"] {
                emit(&recorder, name, [20_000, 40_000][usize::from(name != "fits")]);
            }
            assert_eq!(recorder.stats().dropped.overflow, 2);
            change_address("add", "127.0.0.1/8");
            receive_all(&receiver, 2);
            let stats = flushed(&recorder);
            assert_eq!((stats.emitted, stats.dropped.overflow, stats.dropped.total()), (2, 2, 2));
        });
    }

    #[test]
    fn it_is_used_again_once_it_is_back() {
        alone("it_is_used_again_once_it_is_back", || {
            let receiver = Receiver::bind("127.0.0.1:0");
            let recorder = sending_to(&receiver.address());
            recorder.begin_segment("before").close();
            assert_eq!(receiver.receive_name(), "before");
            change_address("del", "127.0.0.1/8");
            recorder.begin_segment("lost").close();
            assert_eq!(flushed(&recorder).dropped.io, 1);
            change_address("add", "127.0.0.1/8");
            // As many requests as keep it from resting.
            receiver.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let begun = Instant::now();
            while receiver.0.recv(&mut [0; 1_000]).is_err() {
                assert!(begun.elapsed() < PATIENCE, "{:?}", recorder.stats());
                recorder.begin_segment("after").close();
            }
        });
    }
}
