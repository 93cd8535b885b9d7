//! Models of the queue, checked by loom: every order in which its threads may run.

use std::sync::Arc;

use loom::{model, thread};

use super::*;
use crate::{
    emitter::Dropped,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

/// Longer than a model takes.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// A queue, the thread that serves it, and what that has sent.
struct Served {
    queue: Arc<Queue>,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    sender: thread::JoinHandle<()>,
}

impl Served {
    fn new(max_bytes: usize) -> Self {
        Self::with(max_bytes, |_| {})
    }

    /// Does something before each batch.
    fn with(max_bytes: usize, before: impl Fn(&Queue) + 'static) -> Self {
        let queue = Arc::new(Queue::new(max_bytes));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let sender = thread::spawn({
            let (queue, sent) = (queue.clone(), sent.clone());
            move || {
                queue.serve(|batch, flushes| {
                    before(&queue);
                    if !queue.checkpoint(batch.len(), flushes) {
                        sent.lock().unwrap().extend((0..batch.len()).map(|index| batch.get(index).unwrap().to_vec()));
                        queue.counters.emitted(batch.len() as u64);
                    }
                });
            }
        });
        Self { queue, sent, sender }
    }

    fn push(&self, document: &'static [u8]) -> thread::JoinHandle<()> {
        let queue = self.queue.clone();
        thread::spawn(move || queue.push(document))
    }

    /// What was sent until the queue was closed, in order, and what was dropped.
    fn close(self) -> (Vec<Vec<u8>>, Dropped) {
        self.queue.close();
        self.sender.join().unwrap();
        let mut sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.sort();
        let stats = self.queue.counters.stats();
        assert_eq!(stats.emitted, sent.len() as u64);
        (sent, stats.dropped)
    }
}

#[test]
fn every_document_is_sent_once() {
    model(|| {
        let served = Served::new(100);
        let producer = served.push(b"a");
        served.queue.push(b"b");
        producer.join().unwrap();
        let (sent, dropped) = served.close();
        assert_eq!((sent, dropped.total()), (vec![b"a".to_vec(), b"b".to_vec()], 0));
    });
}

#[test]
fn a_document_wakes_the_thread() {
    model(|| {
        let served = Served::new(100);
        let producer = served.push(b"a");
        served.queue.push(b"b");
        producer.join().unwrap();
        // Nothing else happens until both have been sent.
        while served.sent.lock().unwrap().len() < 2 {
            thread::yield_now();
        }
        served.close();
    });
}

#[test]
fn a_flush_ends_after_what_was_pushed_before_it() {
    model(|| {
        let served = Served::new(100);
        let producer = served.push(b"a");
        served.queue.push(b"b");
        assert_eq!(served.queue.request_flush(later(), false).wait(), 0);
        assert!(served.sent.lock().unwrap().contains(&b"b".to_vec()));
        producer.join().unwrap();
        assert_eq!(served.close().0.len(), 2);
    });
}

#[test]
fn a_flush_ends_although_the_thread_waits_for_something_else() {
    model(|| {
        let looked_up = Arc::new(AtomicBool::new(false));
        let served = Served::with(100, {
            let looked_up = looked_up.clone();
            move |queue| {
                while !looked_up.load(Relaxed) {
                    queue.wait_for_wake(later());
                }
            }
        });
        served.queue.push(b"a");
        let lookup = thread::spawn({
            let queue = served.queue.clone();
            move || {
                looked_up.store(true, Relaxed);
                queue.wake();
            }
        });
        assert_eq!(served.queue.request_flush(later(), false).wait(), 0);
        lookup.join().unwrap();
        assert_eq!(served.close().0.len(), 1);
    });
}

#[test]
fn what_comes_while_the_queue_closes_is_sent_or_counted() {
    model(|| {
        let served = Served::new(100);
        let producer = served.push(b"a");
        served.queue.push(b"b");
        assert_eq!(served.queue.request_flush(later(), true).wait(), 0);
        producer.join().unwrap();
        let (sent, dropped) = served.close();
        assert!(sent.contains(&b"b".to_vec()));
        assert_eq!((sent.len() as u64 + dropped.shutdown, dropped.total()), (2, dropped.shutdown));
    });
}

#[test]
fn what_is_left_at_the_deadline_is_counted() {
    model(|| {
        let served = Served::new(100);
        let producer = served.push(b"a");
        served.queue.push(b"b");
        let left = served.queue.request_flush(Instant::now(), true).wait() as u64;
        producer.join().unwrap();
        let (sent, dropped) = served.close();
        assert_eq!((sent.len() as u64 + dropped.shutdown, dropped.total()), (2, dropped.shutdown));
        assert!(left <= dropped.shutdown);
    });
}

#[test]
fn flushes_of_several_threads_end() {
    model(|| {
        let served = Served::new(100);
        let other = thread::spawn({
            let queue = served.queue.clone();
            move || queue.request_flush(later(), true).wait()
        });
        assert_eq!(served.queue.request_flush(later(), false).wait(), 0);
        assert_eq!(other.join().unwrap(), 0);
        served.close();
    });
}

#[test]
fn what_does_not_fit_is_counted() {
    model(|| {
        let served = Served::new(2);
        let producer = served.push(b"aa");
        served.queue.push(b"bb");
        producer.join().unwrap();
        let (sent, dropped) = served.close();
        assert!(!sent.is_empty());
        assert_eq!((sent.len() as u64 + dropped.overflow, dropped.total()), (2, dropped.overflow));
    });
}
