//! Emitters besides the default one, and those of a user that misbehave.

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tower_xray::{
    Recorder,
    document::SegmentDocument,
    emitter::{Emitter, EmitterStats, Flush, InMemoryEmitter, LogEmitter},
    sampling::{Decision, SamplingRequest, SamplingStrategy},
};

use crate::{
    outline::{outline, outline_json},
    support::{recorder, recorder_with},
};

fn emitting_to(emitter: impl Emitter + 'static) -> Recorder {
    recorder_with(|builder| builder.emitter(emitter)).0
}

mod in_memory {
    use super::*;

    #[test]
    fn clones_share_one_list_that_is_taken_once() {
        let emitter = InMemoryEmitter::new();
        let recorder = emitting_to(emitter.clone());
        assert!(emitter.is_empty());
        recorder.begin_segment("first").close();
        recorder.begin_segment("second").close();
        let clone = emitter.clone();
        assert_eq!((clone.len(), emitter.is_empty()), (2, false));
        assert_eq!(outline(&clone.take()), ["first", "second"]);
        assert!(emitter.take().is_empty());
        recorder.begin_segment("third").close();
        assert_eq!(outline(&emitter.take()), ["third"]);
        assert_eq!(recorder.stats().emitted, 3);
        assert_eq!((recorder.flush(Duration::MAX).wait(), recorder.shutdown(Duration::ZERO).wait()), (0, 0));
    }

    #[test]
    fn documents_of_many_threads_are_all_there() {
        let (recorder, documents) = recorder();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let segment = recorder.begin_segment("report");
                        let shared = segment.entity().clone();
                        let below = std::thread::spawn(move || shared.begin_subsegment("below").close());
                        below.join().unwrap();
                        segment.close();
                    }
                });
            }
        });
        assert_eq!(outline(&documents.take()), vec!["report(below)"; 1_600]);
    }
}

mod log {
    use super::*;

    /// A writer that several can look at.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_document_is_one_line() {
        let lines = Shared::default();
        let recorder = emitting_to(LogEmitter::new(lines.clone()));
        let segment = recorder.begin_segment("report");
        segment.add_annotation("text", "two\nlines\r\n");
        let late = segment.begin_subsegment("late");
        segment.close();
        late.close();
        assert_eq!(recorder.flush(Duration::ZERO).wait(), 0);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let documents: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(text.ends_with("}\n"));
        assert_eq!(outline_json(&documents), ["report", "late < report"]);
        assert_eq!(documents[0]["annotations"]["text"], "two\nlines\r\n");
        assert_eq!(recorder.stats().emitted, 2);
    }

    #[test]
    fn a_vec_can_be_taken_back() {
        let emitter = Arc::new(LogEmitter::new(Vec::new()));
        let recorder = emitting_to(emitter.clone());
        recorder.begin_segment("report").close();
        drop(recorder);
        let text = String::from_utf8(Arc::into_inner(emitter).unwrap().into_inner()).unwrap();
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_writer_that_fails_loses_lines_and_they_are_counted() {
        /// Every second line fails, and so does flushing.
        struct Failing(usize);

        impl Write for Failing {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 % 2 == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }

        let recorder = emitting_to(LogEmitter::new(Failing(0)));
        for _ in 0..5 {
            recorder.begin_segment("report").close();
        }
        assert_eq!(recorder.shutdown(Duration::ZERO).wait(), 0);
        let stats = recorder.stats();
        assert_eq!((stats.emitted, stats.dropped.io, stats.dropped.total()), (3, 2, 2));
    }

    #[test]
    fn a_writer_that_panics_loses_its_line_only() {
        struct Panicking(usize);

        impl Write for Panicking {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                assert_ne!(self.0, 2, "the second line");
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let recorder = emitting_to(LogEmitter::new(Panicking(0)));
        for _ in 0..3 {
            recorder.begin_segment("report").close();
        }
        let stats = recorder.stats();
        assert_eq!((stats.emitted, stats.emitter_panics), (2, 1));
    }
}

mod a_users {
    use super::*;

    /// Panics at every second document.
    #[derive(Default)]
    struct Panicking {
        documents: AtomicUsize,
        kept: InMemoryEmitter,
    }

    impl Emitter for Panicking {
        fn emit(&self, document: SegmentDocument) {
            assert!(self.documents.fetch_add(1, Relaxed) % 2 == 0, "every second one");
            self.kept.emit(document);
        }

        fn stats(&self) -> EmitterStats {
            self.kept.stats()
        }
    }

    #[test]
    fn emitter_that_panics_is_isolated_and_counted() {
        let emitter = Arc::new(Panicking::default());
        let recorder = emitting_to(emitter.clone());
        for name in ["a", "b", "c", "d"] {
            recorder.begin_segment(name).close();
        }
        let stats = recorder.stats();
        assert_eq!((stats.opened, stats.emitted, stats.emitter_panics), (4, 2, 2));
        assert_eq!(outline(&emitter.kept.take()), ["a", "c"]);
    }

    #[test]
    fn emitter_that_panics_while_the_program_panics_does_not_abort_it() {
        let recorder = emitting_to(Panicking::default());
        recorder.begin_segment("a").close();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _segment = recorder.begin_segment("b");
            panic!("the program's own");
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"the program's own"));
        assert_eq!(recorder.stats().emitter_panics, 1);
    }

    #[test]
    fn emitter_may_look_at_the_recorder_and_record_work_of_its_own() {
        /// Emits one more segment for each one.
        #[derive(Default)]
        struct Talkative {
            recorder: Mutex<Option<Recorder>>,
            kept: InMemoryEmitter,
        }

        impl Emitter for Talkative {
            fn emit(&self, document: SegmentDocument) {
                let recorder = self.recorder.lock().unwrap().take();
                self.kept.emit(document);
                if let Some(recorder) = recorder {
                    recorder.begin_segment("by the emitter").close();
                    assert_eq!(recorder.stats().emitted, 2);
                }
            }

            fn stats(&self) -> EmitterStats {
                self.kept.stats()
            }
        }

        let emitter = Arc::new(Talkative::default());
        let recorder = emitting_to(emitter.clone());
        *emitter.recorder.lock().unwrap() = Some(recorder.clone());
        recorder.begin_segment("report").close();
        assert_eq!(outline(&emitter.kept.take()), ["report", "by the emitter"]);
        assert_eq!(recorder.stats().emitter_panics, 0);
    }

    #[test]
    fn emitter_that_keeps_things_back_says_when_it_has_sent_them() {
        #[derive(Default)]
        struct Batching(Mutex<Vec<SegmentDocument>>);

        impl Emitter for Batching {
            fn emit(&self, document: SegmentDocument) {
                self.0.lock().unwrap().push(document);
            }

            fn flush(&self, deadline: Instant) -> Flush {
                let left = if deadline > Instant::now() { 0 } else { self.0.lock().unwrap().len() };
                let (flush, done) = Flush::pending();
                std::thread::spawn(move || done.finish(left));
                flush
            }
        }

        let recorder = emitting_to(Batching::default());
        recorder.begin_segment("report").close();
        assert_eq!(recorder.flush(Duration::from_secs(3_600)).wait(), 0);
        assert_eq!(recorder.shutdown(Duration::ZERO).wait(), 1);
    }

    #[tokio::test]
    async fn flush_whose_emitter_has_gone_ends() {
        let (flush, done) = Flush::pending();
        let waiting = tokio::spawn(flush);
        tokio::task::yield_now().await;
        drop(done);
        assert_eq!(waiting.await.unwrap(), 0);
    }

    #[test]
    fn strategy_that_panics_means_not_sampled_and_is_counted() {
        struct Panicking;

        impl SamplingStrategy for Panicking {
            fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
                assert_ne!(request.service_name, "bad", "no decision");
                Decision::new(true)
            }
        }

        let (recorder, documents) = recorder_with(|builder| builder.sampling(Panicking));
        for name in ["good", "bad", "good"] {
            let segment = recorder.begin_segment(name);
            assert_eq!(segment.is_recorded(), name == "good");
            assert!(segment.header().is_some());
        }
        let stats = recorder.stats();
        assert_eq!((stats.opened, stats.sampled, stats.emitted, stats.strategy_panics), (3, 2, 2, 1));
        assert_eq!(outline(&documents.take()), ["good", "good"]);
    }

    #[test]
    fn strategy_that_panics_elsewhere_keeps_no_segment_from_being_sent() {
        struct Panicking;

        impl SamplingStrategy for Panicking {
            fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
                Decision::new(true)
            }

            fn wants_outcomes(&self) -> bool {
                panic!("no outcomes")
            }

            fn shutdown(&self) {
                panic!("no end")
            }
        }

        let (recorder, documents) = recorder_with(|builder| builder.sampling(Panicking));
        recorder.begin_segment("orders").close();
        assert_eq!(recorder.shutdown(Duration::ZERO).wait(), 0);
        assert_eq!(recorder.stats().strategy_panics, 2);
        assert_eq!(outline(&documents.take()), ["orders"]);
    }
}
