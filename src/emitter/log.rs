//! Documents as lines of JSON.
//!
//! In: closed segments, and a writer. Out: one line for each of them.

use std::{
    fmt,
    io::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Emitter, EmitterStats, Flush};
use crate::document::SegmentDocument;

/// Writes every document as one line of JSON.
///
/// The writer is called on the request path, so it should not block: standard error, memory, or a writer that has a
/// thread of its own. A line that cannot be written is dropped and counted.
///
/// ```
/// use tower_xray::{Recorder, emitter::LogEmitter, sampling::SampleAll};
///
/// let recorder = Recorder::builder().emitter(LogEmitter::new(std::io::stderr())).sampling(SampleAll).build()?;
/// recorder.begin_segment("nightly-report").close(); // {"id":"…","name":"nightly-report",…
/// # Ok::<(), tower_xray::recorder::BuildError>(())
/// ```
pub struct LogEmitter<W>(Mutex<Log<W>>);

struct Log<W> {
    writer: W,
    line: Vec<u8>,
    /// A line was not written to its end.
    torn: bool,
    stats: EmitterStats,
}

impl<W: Write + Send> LogEmitter<W> {
    /// Writes to this writer.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(Log { writer, line: Vec::new(), torn: false, stats: EmitterStats::default() }))
    }
}

impl<W> LogEmitter<W> {
    /// The writer, when nothing is to be written any more.
    pub fn into_inner(self) -> W {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).writer
    }

    fn log(&self) -> MutexGuard<'_, Log<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> Emitter for LogEmitter<W> {
    fn emit(&self, document: SegmentDocument) {
        let mut log = self.log();
        let Log { writer, line, torn, stats } = &mut *log;
        line.clear();
        if *torn {
            line.push(b'\n');
        }
        document.write(line);
        line.push(b'\n');
        let written = writer.write_all(line);
        *torn = written.is_err();
        match written {
            Ok(()) => stats.emitted += 1,
            Err(_) => stats.dropped.io += 1,
        }
    }

    fn flush(&self, _deadline: Instant) -> Flush {
        // Lines that the writer has lost were counted as emitted; there is no telling how many.
        let _ = self.log().writer.flush();
        Flush::done(0)
    }

    fn stats(&self) -> EmitterStats {
        self.log().stats
    }
}

impl<W> fmt::Debug for LogEmitter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogEmitter").field("stats", &self.log().stats).finish_non_exhaustive()
    }
}
