//! A process that forks while it is traced: no child hangs or crashes, nothing is sent twice, and the parent's documents
//! are all accounted for.
//!
//! Threads do not come along into a child, and locks stay as they are. So the child's copy of a recorder sends nothing;
//! a recorder that the child builds is its own.

#![cfg_attr(unix, expect(clippy::unwrap_used, reason = "a test may fail"))]
#![expect(clippy::print_stdout, reason = "a test talks to a person")]

#[cfg(not(unix))]
fn main() {
    println!("skipped: nothing forks here");
}

#[cfg(unix)]
fn main() {
    unix::children_end_and_send_nothing_of_their_parent();
    println!("1 passed, 0 failed");
}

#[cfg(unix)]
mod unix {
    use std::{
        collections::{BTreeMap, HashSet},
        net::UdpSocket,
        panic::{AssertUnwindSafe, catch_unwind},
        process::{Command, exit},
        sync::atomic::{AtomicBool, Ordering::Relaxed},
        thread,
        time::{Duration, Instant},
    };

    use fork::{Fork, fork, waitpid_nohang};
    use tower_xray::{Recorder, sampling::SampleAll};

    const PATIENCE: Duration = Duration::from_secs(30);
    const CHILDREN: usize = 100;
    /// Documents of a child that it sends by a recorder of its own.
    const OWN: usize = 3;

    fn sending_to(receiver: &UdpSocket) -> Recorder {
        let address = receiver.local_addr().unwrap().to_string().parse().unwrap();
        Recorder::builder().environment(|_| None).sampling(SampleAll).daemon_address(address).build().unwrap()
    }

    fn receiver() -> UdpSocket {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_nonblocking(true).unwrap();
        receiver
    }

    /// Id and name of the documents that have arrived.
    fn received(receiver: &UdpSocket) -> Vec<(String, String)> {
        let mut buffer = vec![0; 65_536];
        let datagrams = std::iter::from_fn(|| receiver.recv(&mut buffer).ok().map(|len| buffer[..len].to_vec()));
        let documents = datagrams.map(|datagram| {
            let document = datagram.split(|byte| *byte == b'\n').nth(1).unwrap();
            let document: serde_json::Value = serde_json::from_slice(document).unwrap();
            let text = |key: &str| document[key].as_str().unwrap().to_owned();
            (text("trace_id") + &text("id"), text("name"))
        });
        documents.collect()
    }

    pub(super) fn children_end_and_send_nothing_of_their_parent() {
        let (of_parent, of_children) = (receiver(), receiver());
        let recorder = sending_to(&of_parent);
        // The generator of this thread's ids, which goes along into children, has begun.
        recorder.begin_segment("parent").close();
        let stop = AtomicBool::new(false);
        let mut documents = Vec::new();
        let closed = thread::scope(|scope| {
            // The more they do, the more often a lock is held when the process forks.
            let busy: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut closed = 0;
                        while !stop.load(Relaxed) {
                            recorder.begin_segment("parent").close();
                            closed += 1;
                        }
                        closed
                    })
                })
                .collect();
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let mut documents = Vec::new();
                for _ in 0..CHILDREN {
                    match fork().unwrap() {
                        Fork::Child => {
                            exit(i32::from(catch_unwind(AssertUnwindSafe(|| child(&recorder, &of_children))).is_err()))
                        }
                        Fork::Parent(child) => assert_eq!(status(child), Some(0), "the status of a child"),
                    }
                    documents.extend(received(&of_parent));
                    documents.extend(received(&of_children));
                }
                documents
            }));
            stop.store(true, Relaxed);
            documents = ended.unwrap();
            1 + busy.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
        });
        assert_eq!(recorder.flush(PATIENCE).wait(), 0);
        documents.extend(received(&of_parent));
        let stats = recorder.stats();
        assert_eq!(
            (stats.opened, stats.emitted + stats.dropped.overflow, stats.dropped.total()),
            (closed, closed, stats.dropped.overflow),
            "{stats:?}"
        );
        let mut names = BTreeMap::new();
        documents.iter().for_each(|(_, name)| *names.entry(&**name).or_insert(0) += 1);
        assert!(names["parent"] > 0);
        assert_eq!((names.len(), names["child"]), (2, CHILDREN * OWN), "{names:?}");
        let ids: HashSet<&str> = documents.iter().map(|(id, _)| &**id).collect();
        assert_eq!(ids.len(), documents.len(), "an id stands twice");
    }

    /// What a child does with its copy of the recorder, and with one of its own.
    fn child(copy: &Recorder, of_children: &UdpSocket) {
        let before = copy.stats();
        let open = copy.begin_segment("copy");
        for _ in 0..100 {
            copy.begin_segment("copy").close();
        }
        drop(open);
        let left = copy.flush(PATIENCE).wait() as u64;
        assert_eq!(copy.shutdown(PATIENCE).wait(), 0);
        copy.begin_segment("copy").close();
        let after = copy.stats();
        assert_eq!((after.opened, after.emitted), (before.opened + 102, before.emitted));
        // The copy of the parent's queue is dropped with what the child has added, and never sent from here.
        let lost = after.dropped.total() - before.dropped.total();
        assert_eq!(after.dropped.shutdown, lost - (after.dropped.overflow - before.dropped.overflow));
        assert!(left <= lost && lost >= 102, "{left} of {lost}");

        let own = sending_to(of_children);
        for _ in 0..OWN {
            own.begin_segment("child").close();
        }
        assert_eq!(own.shutdown(PATIENCE).wait(), 0);
        assert_eq!(own.stats().emitted, OWN as u64);
    }

    /// How a child has ended; one that hangs is killed.
    fn status(child: i32) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = waitpid_nohang(child).unwrap() {
                return Some(status);
            }
            if began.elapsed() > PATIENCE {
                Command::new("kill").args(["-9", &child.to_string()]).status().unwrap();
                return None;
            }
            thread::yield_now();
        }
    }
}
