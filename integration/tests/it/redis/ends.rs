//! Calls that nothing waits for, that panic, and that are part of no trace.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::{
    AsyncCommands, Cmd, Pipeline, RedisFuture, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::time::timeout;
use tower_xray::{FutureExt, call::MissingContext, context::ContextMissing, current, sampling::SampleNone};
use tracing_subscriber::fmt;

use super::{Client, calls, client, connection, in_segment, patient, url};
use crate::support::{
    recorder_with,
    stops::{Fuse, stopped_after},
};

#[tokio::test]
async fn a_command_that_blocks_for_too_long_is_cancelled() {
    let Some((client, mut connection)) = connection().await else { return };
    let (result, document) = in_segment(async {
        timeout(Duration::from_millis(50), connection.blpop::<_, Value>("nothing will be here", 0.0)).await
    })
    .await;
    assert!(result.is_err(), "{result:?}");
    assert_eq!(calls(&document, &client), ["redis operation=BLPOP cancelled=true"]);
}

/// A connection each step of which may panic.
struct Fused<C>(C, Fuse);

impl<C: ConnectionLike + Send> ConnectionLike for Fused<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.1.step();
        Box::pin(self.1.count(self.0.req_packed_command(command)))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.1.step();
        Box::pin(self.1.count(self.0.req_packed_commands(pipeline, offset, count)))
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

/// Sends a command that is stopped, and another one; asserts that each is in its place. Returns the line of the former,
/// or nothing if it was not stopped.
async fn stop(inner: MultiplexedConnection, client: &Client, fuse: Fuse, polls: usize) -> Option<String> {
    let mut connection = client.trace(Fused(inner, fuse.clone()));
    let (stopped, document) = in_segment(async {
        let segment = current().id();
        let stopped = stopped_after(polls, connection.ping::<String>()).await.is_none();
        assert_eq!(current().id(), segment);
        fuse.disarm();
        assert_eq!(connection.ping::<String>().await.unwrap(), "PONG");
        assert_eq!(current().id(), segment);
        stopped
    })
    .await;
    // What is still open when the segment closes would not be in its document.
    let mut calls = calls(&document, client);
    assert_eq!((calls.len(), calls.pop().as_deref()), (2, Some("redis operation=PING")), "{document}");
    calls.pop().filter(|_| stopped)
}

#[tokio::test]
async fn a_command_that_is_dropped_or_panics_at_any_point_is_closed_and_in_its_place() {
    let (Some(url), Some(client)) = (url(), client()) else { return };
    let untraced = redis::Client::open(url).unwrap();
    let inner = untraced.get_multiplexed_async_connection_with_config(&patient()).await.unwrap();
    for polls in 1.. {
        assert!(polls < 100);
        let Some(call) = stop(inner.clone(), &client, Fuse::none(), polls).await else {
            assert!(polls > 1);
            break;
        };
        assert_eq!(call, "redis operation=PING cancelled=true", "after {polls}");
    }
    for steps in 0.. {
        assert!(steps < 100);
        let Some(call) = stop(inner.clone(), &client, Fuse::new(steps), usize::MAX).await else {
            assert!(steps > 1);
            break;
        };
        assert!(call.starts_with("redis operation=PING fault | panic: "), "at {steps}: {call}");
    }
}

/// What is logged, and a guard of the thread's subscriber.
fn log() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    #[derive(Clone)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let log = Log(Arc::default());
    let writer = log.clone();
    let subscriber = fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    (log.0, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_command_outside_of_any_trace_goes_through_and_is_reported_once() {
    let Some(url) = url() else { return };
    let client = Client::open(&url, MissingContext::new(ContextMissing::LogError)).unwrap();
    let (log, _default) = log();
    let mut connection = client.connect(&patient()).await.unwrap();
    assert_eq!(connection.ping::<String>().await.unwrap(), "PONG");
    let mut again = connection.clone();
    assert_eq!(again.ping::<String>().await.unwrap(), "PONG");
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let reports: Vec<_> = log.lines().filter(|line| line.contains("calls are not traced")).collect();
    assert_eq!(reports.len(), 1, "{log}");
    assert!(reports[0].contains("ERROR"), "{log}");
}

#[tokio::test]
async fn a_command_that_is_not_sampled_is_neither_recorded_nor_reported() {
    let Some(url) = url() else { return };
    let client = Client::open(&url, MissingContext::new(ContextMissing::LogError)).unwrap();
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let segment = recorder.begin_segment("shop");
    let (log, _default) = log();
    let work = async {
        let mut connection = client.connect(&patient()).await?;
        connection.set::<_, _, ()>("unsampled", "1").await?;
        connection.lpush::<_, _, u32>("unsampled", "2").await
    };
    assert_eq!(work.in_entity(&segment).await.unwrap_err().code(), Some("WRONGTYPE"));
    segment.close();
    assert_eq!(documents.len(), 0);
    assert_eq!(log.lock().unwrap().len(), 0);
}
