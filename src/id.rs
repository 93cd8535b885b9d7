//! Identifiers: 35-character trace ids and 16-character segment ids, held as numbers.
//!
//! In: text from a header or a message attribute. Out: a value that is valid by construction, and its text.
//!
//! ```
//! use tower_xray::TraceId;
//!
//! let id: TraceId = "1-5759e988-bd862e3fe1be46a994272793".parse()?;
//! assert_eq!(id.to_string(), "1-5759e988-bd862e3fe1be46a994272793");
//! assert_eq!(id.epoch_seconds(), 0x5759_e988);
//! # Ok::<(), tower_xray::id::ParseIdError>(())
//! ```

use std::{
    cell::RefCell,
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hasher},
    num::NonZero,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::UNIX_EPOCH,
};

/// Identifies a trace: `1-<8 hex: epoch seconds>-<24 hex: random>`.
///
/// Upper-case digits are understood and written in lower case. Other versions than `1` and the all-zero id are
/// refused. X-Ray accepts ids that came from W3C Trace Context, so the first eight digits need not be a time.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TraceId(NonZero<u128>);

impl TraceId {
    /// Length of the text form, in bytes.
    pub const LEN: usize = 35;

    /// Joins the start of the trace (seconds since the epoch) and 96 random bits; higher bits of `random` are ignored.
    #[must_use]
    pub const fn new(epoch_seconds: u32, random: u128) -> Self {
        // A zero random part would give the invalid all-zero id at epoch 0; the odd bit costs nothing elsewhere.
        let random = match random & RANDOM_MASK {
            0 => 1,
            bits => bits,
        };
        match NonZero::new((epoch_seconds as u128) << 96 | random) {
            Some(id) => Self(id),
            None => unreachable!(),
        }
    }

    /// The id of a trace that begins now.
    #[must_use]
    pub fn random() -> Self {
        IdSource::Thread.trace_id(UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() as u32)
    }

    /// The id as W3C Trace Context sees it: 128 bits, never zero.
    #[must_use]
    pub const fn from_u128(id: NonZero<u128>) -> Self {
        Self(id)
    }

    /// All 128 bits: the epoch in the highest 32, then the random part.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        self.0.get()
    }

    /// The first eight digits as a number: when the trace began, if the id was made for X-Ray.
    #[must_use]
    pub const fn epoch_seconds(self) -> u32 {
        (self.0.get() >> 96) as u32
    }

    /// The text form in ASCII, without an allocation.
    #[must_use]
    pub fn to_ascii(self) -> [u8; Self::LEN] {
        let mut text = [b'-'; Self::LEN];
        text[0] = b'1';
        let bytes = self.0.get().to_be_bytes();
        write_hex(&bytes[..4], &mut text[2..10]);
        write_hex(&bytes[4..], &mut text[11..]);
        text
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(ascii(&self.to_ascii()))
    }
}

impl FromStr for TraceId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_ascii(text.as_bytes())
    }
}

impl TraceId {
    pub(crate) fn from_ascii(bytes: &[u8]) -> Result<Self, ParseIdError> {
        if bytes.len() != Self::LEN || &bytes[..2] != b"1-" || bytes[10] != b'-' {
            return Err(ParseIdError::TRACE);
        }
        let read = |digits| read_hex(digits).map(u128::from);
        let (epoch, high, low) = (read(&bytes[2..10]), read(&bytes[11..19]), read(&bytes[19..]));
        let (Some(epoch), Some(high), Some(low)) = (epoch, high, low) else { return Err(ParseIdError::TRACE) };
        NonZero::new(epoch << 96 | high << 64 | low).map(Self).ok_or(ParseIdError::TRACE)
    }
}

/// Identifies a segment, a subsegment or an exception within its trace: 16 hex digits, never all zero.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SegmentId(NonZero<u64>);

impl SegmentId {
    /// Length of the text form, in bytes.
    pub const LEN: usize = 16;

    /// The id with these 64 bits.
    #[must_use]
    pub const fn from_u64(id: NonZero<u64>) -> Self {
        Self(id)
    }

    /// All 64 bits.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0.get()
    }

    /// The text form in ASCII, without an allocation.
    #[must_use]
    pub fn to_ascii(self) -> [u8; Self::LEN] {
        let mut text = [0; Self::LEN];
        write_hex(&self.0.get().to_be_bytes(), &mut text);
        text
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentId({self})")
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(ascii(&self.to_ascii()))
    }
}

impl FromStr for SegmentId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_ascii(text.as_bytes())
    }
}

impl SegmentId {
    pub(crate) fn from_ascii(bytes: &[u8]) -> Result<Self, ParseIdError> {
        if bytes.len() != Self::LEN {
            return Err(ParseIdError::SEGMENT);
        }
        let id = read_hex(bytes).ok_or(ParseIdError::SEGMENT)?;
        NonZero::new(id).map(Self).ok_or(ParseIdError::SEGMENT)
    }
}

/// Says that a text is not a trace id or not a segment id, and what one looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseIdError(&'static str);

impl ParseIdError {
    const SEGMENT: Self = Self("not a segment id: expected 16 hex digits, not all zero");
    const TRACE: Self = Self("not a trace id: expected `1-<8 hex digits>-<24 hex digits>`, not all zero");
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ParseIdError {}

/// Where new ids come from: the thread's generator, or one stream of numbers that a test can repeat.
///
/// Ids are no secrets, so a fast generator is enough; 96 bits keep traces of one second apart.
#[derive(Debug, Default)]
pub(crate) enum IdSource {
    #[default]
    Thread,
    Seeded(Mutex<fastrand::Rng>),
}

impl IdSource {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    pub(crate) fn trace_id(&self, epoch_seconds: u32) -> TraceId {
        TraceId::new(epoch_seconds, self.with(|rng| rng.u128(..)))
    }

    pub(crate) fn segment_id(&self) -> SegmentId {
        SegmentId(self.with(|rng| NonZero::new(rng.u64(1..)).unwrap_or(NonZero::<u64>::MIN)))
    }

    /// In `[0, 1)`, for the sampling strategy.
    pub(crate) fn fraction(&self) -> f64 {
        self.with(fastrand::Rng::f64)
    }

    fn with<T>(&self, draw: fn(&mut fastrand::Rng) -> T) -> T {
        thread_local!(static RNG: RefCell<fastrand::Rng> = RefCell::new(fresh()));
        match self {
            // While the thread ends its generator may be gone: a fresh one serves the last ids.
            Self::Thread => RNG.try_with(|rng| draw(&mut rng.borrow_mut())).unwrap_or_else(|_| draw(&mut fresh())),
            Self::Seeded(rng) => draw(&mut rng.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// A generator with a seed from the operating system. fastrand's own is made of the time since boot and the thread's
/// number, which machines of one image that start together can have in common.
fn fresh() -> fastrand::Rng {
    fastrand::Rng::with_seed(RandomState::new().build_hasher().finish())
}

const RANDOM_MASK: u128 = (1 << 96) - 1;

/// Marks what is no digit in [`HEX_VALUES`].
const NO_DIGIT: u8 = 0xff;

static HEX_VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        values[b"0123456789abcdef"[digit] as usize] = digit as u8;
        values[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// At most 16 digits.
fn read_hex(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut seen = 0;
    for digit in digits {
        let digit = HEX_VALUES[usize::from(*digit)];
        seen |= digit;
        value = value << 4 | u64::from(digit & 0xf);
    }
    (seen <= 0xf).then_some(value)
}

static HEX_PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [b"0123456789abcdef"[byte >> 4], b"0123456789abcdef"[byte & 0xf]];
        byte += 1;
    }
    pairs
};

/// Two digits for each byte.
fn write_hex(bytes: &[u8], out: &mut [u8]) {
    for (byte, out) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        out.copy_from_slice(&HEX_PAIRS[usize::from(*byte)]);
    }
}

/// The digits written by `to_ascii` as text.
pub(crate) fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
