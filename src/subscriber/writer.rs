//! Log lines with the ids of the trace.
//!
//! In: what a subscriber writes, text or JSON. Out: the same with the ids in every line.

use std::{cell::Cell, io};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    context::current,
    id::{SegmentId, TraceId},
};

/// A longer buffer is not kept for the thread's next line.
const MAX_SPARE: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Puts `trace_id` and `segment_id` of the current entity into every line that a subscriber writes, recorded or not.
///
/// It goes around the writer, so the format of the lines does not matter: a line that is a JSON object gets two fields
/// at its beginning, any other one gets ` trace_id=… segment_id=…` at its end. What is written outside of a trace, or
/// while the recorder is disabled, stays as it is. `segment_id` is the id of the segment or of the subsegment that is current.
///
/// ```
/// use std::io;
/// use tower_xray::subscriber::TraceIds;
///
/// let subscriber = tracing_subscriber::fmt().with_writer(TraceIds::new(io::stdout)).finish();
/// # let _ = subscriber;
/// ```
#[derive(Clone, Debug, Default)]
pub struct TraceIds<M> {
    inner: M,
    format: Format,
}

#[derive(Clone, Copy, Debug, Default)]
enum Format {
    #[default]
    Fields,
    FormattedId,
}

impl<M> TraceIds<M> {
    /// Adds the ids to what goes to this writer: a function such as `io::stdout`, or what a file appender makes.
    #[must_use]
    pub fn new(make_writer: M) -> Self {
        Self { inner: make_writer, format: Format::Fields }
    }

    /// Writes `AWS-XRAY-TRACE-ID: <trace id>@<id>` instead, as the X-Ray SDK for Java does; in JSON it is one field.
    #[must_use]
    pub fn formatted_id(self) -> Self {
        Self { format: Format::FormattedId, ..self }
    }

    fn writer<W: io::Write>(&self, inner: W) -> TraceIdWriter<W> {
        let entity = current();
        let ids = entity.trace_id().zip(entity.id());
        TraceIdWriter { inner, ids, format: self.format, place: Place::Start }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for TraceIds<M> {
    type Writer = TraceIdWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        self.writer(self.inner.make_writer())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.writer(self.inner.make_writer_for(metadata))
    }
}

/// The writer that [`TraceIds`] makes, for the lines of one event.
#[derive(Debug)]
pub struct TraceIdWriter<W: io::Write> {
    inner: W,
    ids: Option<(TraceId, SegmentId)>,
    format: Format,
    place: Place,
}

/// How far a line has been written.
#[derive(Clone, Copy, Debug)]
enum Place {
    Start,
    /// Behind the brace at its beginning.
    Brace,
    /// In a line that needs the ids at its end.
    Text,
    /// In a line that has them.
    Object,
}

impl<W: io::Write> TraceIdWriter<W> {
    /// Appends what is written, with the ids where they belong.
    fn splice(&mut self, ids: (TraceId, SegmentId), mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(first) = bytes.first() {
            match (self.place, first) {
                (Place::Start, b'{' | b'\n') => {
                    self.place = if *first == b'{' { Place::Brace } else { Place::Start };
                    out.push(*first);
                    bytes = &bytes[1..];
                }
                (Place::Brace, b'"' | b'}') => {
                    self.format.write_json(ids, out);
                    out.extend_from_slice(if *first == b'"' { b"," } else { b"" });
                    self.place = Place::Object;
                }
                (Place::Start | Place::Brace, _) => self.place = Place::Text,
                (Place::Text | Place::Object, _) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    out.extend_from_slice(line);
                    bytes = rest;
                    if end.is_some() {
                        if let Place::Text = self.place {
                            self.format.write_text(ids, out);
                        }
                        self.place = Place::Start;
                        out.push(b'\n');
                        bytes = &bytes[1..];
                    }
                }
            }
        }
    }

    /// Writes at once what `fill` puts into a buffer: lines of several threads must not mix.
    fn write_with(&mut self, fill: impl FnOnce(&mut Self, &mut Vec<u8>)) -> io::Result<()> {
        // While the thread ends it has no buffer any more.
        let mut out = SPARE.try_with(Cell::take).unwrap_or_default();
        fill(self, &mut out);
        let result = self.inner.write_all(&out);
        if out.capacity() <= MAX_SPARE {
            out.clear();
            let _ = SPARE.try_with(|spare| spare.set(out));
        }
        result
    }
}

impl<W: io::Write> io::Write for TraceIdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(ids) = self.ids else { return self.inner.write(bytes) };
        self.write_with(|writer, out| writer.splice(ids, bytes, out))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: io::Write> Drop for TraceIdWriter<W> {
    fn drop(&mut self) {
        // A line that does not end is still one.
        if let (Some(ids), Place::Text | Place::Brace) = (self.ids, self.place) {
            let _ = self.write_with(|writer, out| writer.format.write_text(ids, out));
        }
    }
}

impl Format {
    fn write_text(self, (trace_id, id): (TraceId, SegmentId), out: &mut Vec<u8>) {
        let [first, second]: [&[u8]; 2] = match self {
            Self::Fields => [b" trace_id=", b" segment_id="],
            Self::FormattedId => [b" AWS-XRAY-TRACE-ID: ", b"@"],
        };
        for part in [first, &trace_id.to_ascii(), second, &id.to_ascii()] {
            out.extend_from_slice(part);
        }
    }

    /// As fields of an object, without the commas around them.
    fn write_json(self, (trace_id, id): (TraceId, SegmentId), out: &mut Vec<u8>) {
        let [first, second]: [&[u8]; 2] = match self {
            Self::Fields => [b"\"trace_id\":\"", b"\",\"segment_id\":\""],
            Self::FormattedId => [b"\"AWS-XRAY-TRACE-ID\":\"", b"@"],
        };
        for part in [first, &trace_id.to_ascii(), second, &id.to_ascii(), b"\""] {
            out.extend_from_slice(part);
        }
    }
}
