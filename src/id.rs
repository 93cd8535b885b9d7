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
        let id = self.0.get();
        for (shift, place) in [(96, 2), (64, 11), (32, 19), (0, 27)] {
            write_hex((id >> shift) as u32, &mut text[place..place + 8]);
        }
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
        Self::read(bytes).ok_or(ParseIdError::TRACE)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text: &[u8; Self::LEN] = bytes.try_into().ok()?;
        if text[..2] != *b"1-" || text[10] != b'-' {
            return None;
        }
        let mut id = 0;
        for place in [2, 11, 19, 27] {
            id = id << 32 | u128::from(read_hex(&text[place..place + 8])?);
        }
        NonZero::new(id).map(Self)
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
        write_hex((self.0.get() >> 32) as u32, &mut text[..8]);
        write_hex(self.0.get() as u32, &mut text[8..]);
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
        Self::read(bytes).ok_or(ParseIdError::SEGMENT)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let (high, low) = (read_hex(&text[..8])?, read_hex(&text[8..])?);
        NonZero::new(u64::from(high) << 32 | u64::from(low)).map(Self)
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

    /// Begins the thread's generator anew: in a forked child it is a copy of the parent's, and of every other child's.
    pub(crate) fn renew() {
        let _ = RNG.try_with(|rng| rng.replace(fresh()));
    }

    fn with<T>(&self, draw: fn(&mut fastrand::Rng) -> T) -> T {
        match self {
            // While the thread ends its generator may be gone: a fresh one serves the last ids.
            Self::Thread => RNG.try_with(|rng| draw(&mut rng.borrow_mut())).unwrap_or_else(|_| draw(&mut fresh())),
            Self::Seeded(rng) => draw(&mut rng.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

thread_local!(static RNG: RefCell<fastrand::Rng> = RefCell::new(fresh()));

/// A generator with a seed from the operating system. fastrand's own is made of the time since boot and the thread's
/// number, which machines of one image that start together can have in common.
fn fresh() -> fastrand::Rng {
    let mut hasher = RandomState::new().build_hasher();
    // The state goes along into a forked child, too.
    hasher.write_u32(std::process::id());
    fastrand::Rng::with_seed(hasher.finish())
}

const RANDOM_MASK: u128 = (1 << 96) - 1;

/// The same byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Eight values below 16 as their digits, all at once.
const fn digits(values: u64) -> u64 {
    let letters = ((values + eight(6)) >> 4) & eight(1);
    values + eight(b'0') + letters * (b'a' - b'0' - 10) as u64
}

/// Reads eight digits, all at once.
fn read_hex(text: &[u8]) -> Option<u32> {
    let text = u64::from_le_bytes(text.try_into().ok()?);
    // Letters differ from numbers in this bit, and upper from lower case in the one below.
    let letters = (text >> 6) & eight(1);
    let values = (text & eight(0xf)) + letters * 9;
    if values & eight(0xf0) != 0 || digits(values) != text | letters << 5 {
        return None;
    }
    let bytes = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    Some(((pairs | pairs >> 16) as u32).swap_bytes())
}

/// Writes eight digits, all at once.
fn write_hex(number: u32, out: &mut [u8]) {
    let bytes = u64::from(number.swap_bytes());
    let pairs = (bytes | bytes << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let values = (bytes >> 4 | bytes << 8) & eight(0xf);
    out.copy_from_slice(&digits(values).to_le_bytes());
}

/// The digits written by `to_ascii` as text.
pub(crate) fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
