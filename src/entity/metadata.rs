//! Metadata values as JSON.
//!
//! In: any value of a user's that can be serialized. Out: its text, within the limits of a document.

use std::io;

use serde::Serialize;

use crate::document::MAX_DOCUMENT;

/// Levels of metadata: with those of [`MAX_DEPTH`](crate::document::MAX_DEPTH) embedded subsegments, as many as common
/// JSON parsers follow.
const MAX_NESTING: usize = 40;

/// Why metadata is not recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    NotJson,
    /// It does not fit into a document, or is nested too deeply.
    TooLarge,
}

/// A value as JSON text; a value that is too large is not even written to its end.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, Refused> {
    let mut out = Bounded { json: Vec::new(), full: false };
    match serde_json::to_writer(&mut out, value) {
        Ok(()) if nesting(&out.json) > MAX_NESTING => Err(Refused::TooLarge),
        Ok(()) => String::from_utf8(out.json).map_err(|_| Refused::NotJson),
        Err(_) if out.full => Err(Refused::TooLarge),
        Err(_) => Err(Refused::NotJson),
    }
}

struct Bounded {
    json: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.json.len() + bytes.len() > MAX_DOCUMENT {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.json.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many arrays and objects of a JSON text are within each other.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}
