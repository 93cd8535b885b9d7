//! Models of the worker, checked by loom: retries, waits and the end of them, in every order in which threads may run.

use std::sync::Mutex;

use loom::{model, thread};

use super::*;
use crate::{
    emitter::EmitterStats,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Longer than a model takes.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// Sends one document at a time.
struct Flaky {
    attempts: u32,
    /// Whether the attempt of this number fails, with this document.
    fails: fn(u32, &[u8]) -> bool,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    ready: Arc<AtomicBool>,
}

impl Deliver for Flaky {
    fn is_waiting(&mut self) -> bool {
        !self.ready.load(Relaxed)
    }

    fn deliver(&mut self, unsent: &mut Unsent<'_>, _: Load, counters: &Counters) -> Result<Option<Duration>, Failed> {
        let document = unsent.next().unwrap();
        self.attempts += 1;
        if (self.fails)(self.attempts, document) {
            unsent.put_back(&[document]);
            return Err(Failed { documents: 1, reason: Reason::Io });
        }
        self.sent.lock().unwrap().push(document.to_vec());
        counters.emitted(1);
        Ok(None)
    }
}

/// A queue, the thread that serves it, and what that has sent.
struct Served {
    queue: Arc<Queue>,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    ready: Arc<AtomicBool>,
    worker: thread::JoinHandle<()>,
}

impl Served {
    fn new(max_bytes: usize, fails: fn(u32, &[u8]) -> bool, ready: bool) -> Self {
        let queue = Arc::new(Queue::new(max_bytes));
        let sent = Arc::default();
        let ready = Arc::new(AtomicBool::new(ready));
        let worker = thread::spawn({
            let queue = queue.clone();
            let mut transport = Flaky { attempts: 0, fails, sent: Arc::clone(&sent), ready: ready.clone() };
            move || queue.serve(|batch, flushes| send(&queue, &mut transport, batch, flushes))
        });
        Self { queue, sent, ready, worker }
    }

    fn push(&self, document: &'static [u8]) -> thread::JoinHandle<()> {
        let queue = self.queue.clone();
        thread::spawn(move || queue.push(document))
    }

    /// What was sent until the queue was closed, and what was counted: every document once.
    fn close(self, pushed: u64) -> (Vec<Vec<u8>>, EmitterStats) {
        self.queue.close();
        self.worker.join().unwrap();
        let mut sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.sort();
        let stats = self.queue.counters.stats();
        assert_eq!(stats.emitted, sent.len() as u64);
        assert_eq!(stats.emitted + stats.dropped.total(), pushed);
        (sent, stats)
    }
}

#[test]
fn what_fails_once_is_sent_again_and_counted_once() {
    model(|| {
        let served = Served::new(100, |attempt, _| attempt % 2 == 1, true);
        let producer = served.push(b"a");
        served.queue.push(b"b");
        assert_eq!(served.queue.request_flush(later(), false).wait(), 0);
        assert!(served.sent.lock().unwrap().contains(&b"b".to_vec()));
        producer.join().unwrap();
        assert_eq!(served.close(2).0, [b"a".to_vec(), b"b".to_vec()]);
    });
}

#[test]
fn what_fails_too_often_is_dropped_and_counted() {
    model(|| {
        let served = Served::new(100, |_, _| true, true);
        let producer = served.push(b"a");
        served.queue.push(b"b");
        assert_eq!(served.queue.request_flush(later(), false).wait(), 0);
        producer.join().unwrap();
        assert_eq!(served.close(2).1.dropped.io, 2);
    });
}

#[test]
fn what_can_never_be_sent_does_not_cost_the_others() {
    model(|| {
        let served = Served::new(100, |_, document| document == b"a", true);
        let producer = served.push(b"a");
        served.queue.push(b"b");
        producer.join().unwrap();
        let (sent, stats) = served.close(2);
        assert_eq!((sent, stats.dropped.io), (vec![b"b".to_vec()], 1));
    });
}

#[test]
fn a_shutdown_ends_retries_and_what_is_left_is_counted() {
    model(|| {
        let served = Served::new(100, |_, _| true, true);
        served.queue.push(b"a");
        let left = served.queue.request_flush(Instant::now(), true).wait() as u64;
        let (_, stats) = served.close(1);
        assert_eq!((stats.dropped.io, stats.dropped.shutdown), (1 - left, left));
    });
}

#[test]
fn what_waits_for_a_retry_counts_towards_the_bound() {
    model(|| {
        let served = Served::new(2, |attempt, _| attempt == 1, true);
        let producer = served.push(b"aa");
        served.queue.push(b"bb");
        producer.join().unwrap();
        let (sent, stats) = served.close(2);
        assert_eq!((sent.is_empty(), stats.dropped.overflow), (false, stats.dropped.total()));
    });
}

#[test]
fn a_transport_that_waits_is_woken() {
    model(|| {
        let served = Served::new(100, |_, _| false, false);
        served.queue.push(b"a");
        let (queue, ready) = (served.queue.clone(), served.ready.clone());
        let lookup = thread::spawn(move || {
            ready.store(true, Relaxed);
            queue.wake();
        });
        assert_eq!(served.queue.request_flush(later(), false).wait(), 0);
        lookup.join().unwrap();
        assert_eq!(served.close(1).0, [b"a".to_vec()]);
    });
}
