//! JSON, piece by piece: what the writer of documents needs of it, straight into a buffer.
//!
//! In: keys, text, numbers, ids and times. Out: their JSON, appended.

use crate::id::SegmentId;

/// A key as it is written: quoted, with its colon.
#[derive(Clone, Copy)]
pub(super) struct Key(pub(super) &'static str);

macro_rules! key {
    ($key:literal) => {
        Key(concat!("\"", $key, "\":"))
    };
}

pub(super) use key;

/// An object or array that is not written at all while it has no element.
pub(super) struct List<'a> {
    key: Key,
    open: u8,
    empty: bool,
    pub(super) out: &'a mut Vec<u8>,
}

impl<'a> List<'a> {
    pub(super) fn new(key: Key, open: u8, out: &'a mut Vec<u8>) -> Self {
        Self { key, open, empty: true, out }
    }

    /// One that has been opened, and has an element.
    pub(super) fn begun(out: &'a mut Vec<u8>) -> Self {
        Self { key: Key(""), open: b'{', empty: false, out }
    }

    pub(super) fn next(&mut self) {
        if std::mem::take(&mut self.empty) {
            write_key(self.key, self.out);
            self.out.push(self.open);
        } else {
            self.out.push(b',');
        }
    }

    pub(super) fn end(self, close: u8) {
        if !self.empty {
            self.out.push(close);
        }
    }
}

/// A key with its quotes and colon, after a comma unless it is the first of its object.
#[inline]
pub(super) fn write_key(key: Key, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend_from_slice(key.0.as_bytes());
}

/// `"key":"value"`, unless the value is empty.
pub(super) fn write_string(key: Key, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        write_key(key, out);
        write_text(value, out);
    }
}

pub(super) fn write_id(key: Key, id: SegmentId, out: &mut Vec<u8>) {
    write_key(key, out);
    out.push(b'"');
    out.extend_from_slice(&id.to_ascii());
    out.push(b'"');
}

pub(super) fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(super) fn write_float(value: f64, out: &mut Vec<u8>) {
    // Writing to memory cannot fail; a float that is not finite was refused when it was added.
    let _ = serde_json::to_writer(out, &value);
}

/// Seconds with six decimals, as digits: a float would round at today's epoch.
pub(super) fn seconds(micros: u64) -> [u8; 17] {
    let micros = micros.min(9_999_999_999_999_999);
    let (high, low) = (eight_digits(micros / 100_000_000), eight_digits(micros % 100_000_000));
    let mut text = *b".................";
    text[..8].copy_from_slice(&high);
    text[8..10].copy_from_slice(&low[..2]);
    text[11..].copy_from_slice(&low[2..]);
    // JSON has no leading zeros, but space. No time since 2001 has any.
    if text[0] == b'0' {
        let digits = text[..9].iter().take_while(|digit| **digit == b'0').count();
        text[..digits].fill(b' ');
    }
    text
}

/// The digits of a number below 10^8, all at once: halves, then quarters, then single digits.
fn eight_digits(number: u64) -> [u8; 8] {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let quarters = (halves - hundreds * 100) << 16 | hundreds;
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = (quarters - tens * 10) << 8 | tens;
    (digits | u64::from_ne_bytes([b'0'; 8])).to_le_bytes()
}

/// A JSON string.
pub(super) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    if has_special(text) {
        out.push(b'"');
        write_escaped(text, out);
        out.push(b'"');
    } else {
        write_plain(text, out);
    }
}

/// A JSON string of which it is known that nothing has to be escaped, as in names, keys, and methods.
pub(super) fn write_plain(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Whether something has to be escaped. Blocks of one size without an early exit are a handful of vector instructions.
fn has_special(bytes: &[u8]) -> bool {
    let special = |byte: &u8| (*byte < b' ') | (*byte == b'"') | (*byte == b'\\');
    let any = |block: &[u8]| block[..16].iter().fold(false, |found, byte| found | special(byte));
    let blocks = bytes.chunks_exact(16);
    let rest = blocks.remainder();
    let mut last = [b' '; 16];
    last[..rest.len()].copy_from_slice(rest);
    blocks.fold(any(&last), |found, block| found | any(block))
}

fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..b' ' => {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
            }
            _ => out.push(*byte),
        }
    }
}
