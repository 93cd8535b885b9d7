//! Names, keys and other text within the limits of X-Ray segment documents.
//!
//! In: any text of a user or of the network. Out: text that X-Ray and the OpenTelemetry collector accept. What cannot
//! stay is replaced by `_`, or truncated at a character; it is never lost as a whole.

use std::{borrow::Cow, fmt, sync::Arc};

use super::limits::{MAX_KEY, MAX_NAME, MAX_STRING};

const UNKNOWN: &str = "unknown";

/// The name of a segment: the service, as the nodes of the service map and sampling rules know it.
///
/// X-Ray segment documents: 1 to 200 characters out of letters, numbers, spaces and `_ . : / % & # = + - @`. Other
/// characters become `_`.
///
/// ```
/// use tower_xray::document::SegmentName;
///
/// assert_eq!(SegmentName::new("shop?api").unwrap().as_str(), "shop_api");
/// assert!(SegmentName::new("").is_err());
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SegmentName(Arc<str>);

impl SegmentName {
    /// Sanitises a name.
    ///
    /// # Errors
    ///
    /// When nothing legible is left: the name is empty or consists of replaced characters only.
    pub fn new(name: &str) -> Result<Self, InvalidNameError> {
        let sanitized = sanitize(name, MAX_NAME, NAME, is_name_char);
        match sanitized.chars().all(|c| c == '_' || c.is_whitespace()) {
            true => Err(InvalidNameError(truncate(name, MAX_STRING).to_owned())),
            false => Ok(Self(sanitized.into())),
        }
    }

    /// Returns the name as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Sanitises a name; one of which nothing is left becomes `unknown`.
    pub(crate) fn lenient(name: &str) -> Self {
        Self::new(name).unwrap_or_else(|_| Self(UNKNOWN.into()))
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Says that a name has no character that X-Ray accepts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidNameError(String);

impl fmt::Display for InvalidNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a name for X-Ray: write at least one letter or number (allowed: letters, numbers, spaces and _.:/%&#=+-@)",
            self.0
        )
    }
}

impl std::error::Error for InvalidNameError {}

/// Any text as the name of a segment or subsegment.
pub(crate) fn sanitize_name(name: &str) -> Cow<'_, str> {
    match sanitize(name, MAX_NAME, NAME, is_name_char) {
        name if name.is_empty() => Cow::Borrowed(UNKNOWN),
        name => name,
    }
}

/// Any text as an annotation key: `A-Z a-z 0-9 _`.
pub(crate) fn sanitize_key(key: &str) -> Cow<'_, str> {
    match sanitize(key, MAX_KEY, KEY, |c| c.is_ascii() && ACCEPTED[c as usize] & KEY != 0) {
        key if key.is_empty() => Cow::Borrowed("_"),
        key => key,
    }
}

/// At most `max` characters.
pub(crate) fn truncate(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

/// What accepts an ASCII character, one bit for each, in [`ACCEPTED`].
const NAME: u8 = 1;
const KEY: u8 = 2;

static ACCEPTED: [u8; 256] = {
    let mut accepted = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        accepted[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => NAME | KEY,
            b' ' | b'.' | b':' | b'/' | b'%' | b'&' | b'#' | b'=' | b'+' | b'-' | b'@' => NAME,
            _ => 0,
        };
        byte += 1;
    }
    accepted
};

fn sanitize(text: &str, max: usize, accepting: u8, allowed: impl Fn(char) -> bool) -> Cow<'_, str> {
    // Nearly all of them are ASCII and need no change.
    if text.len() <= max && text.bytes().all(|byte| ACCEPTED[usize::from(byte)] & accepting != 0) {
        return Cow::Borrowed(text);
    }
    let text = truncate(text, max);
    if text.chars().all(&allowed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if allowed(c) { c } else { '_' }).collect())
}

fn is_name_char(c: char) -> bool {
    match c {
        '\0'..='\u{7f}' => ACCEPTED[c as usize] & NAME != 0,
        // X-Ray's schema knows the Basic Multilingual Plane only.
        '\u{80}'..='\u{ffff}' => (c.is_alphanumeric() && !is_mark(c as u32)) || (c.is_whitespace() && !c.is_control()),
        _ => false,
    }
}

/// Whether the standard library calls a character alphabetic that Unicode does not class as a letter or number.
fn is_mark(c: u32) -> bool {
    let after = MARKS.partition_point(|(first, _)| u32::from(*first) <= c);
    after > 0 && c <= u32::from(MARKS[after - 1].1)
}

/// Alphabetic characters of the Basic Multilingual Plane outside of Unicode's categories L and N: mostly vowel signs.
#[rustfmt::skip]
const MARKS: [(u16, u16); 163] = [
    (0x0345, 0x0345), (0x0363, 0x036f), (0x05b0, 0x05bd), (0x05bf, 0x05bf), (0x05c1, 0x05c2), (0x05c4, 0x05c5),
    (0x05c7, 0x05c7), (0x0610, 0x061a), (0x064b, 0x0657), (0x0659, 0x065f), (0x0670, 0x0670), (0x06d6, 0x06dc),
    (0x06e1, 0x06e4), (0x06e7, 0x06e8), (0x06ed, 0x06ed), (0x0711, 0x0711), (0x0730, 0x073f), (0x07a6, 0x07b0),
    (0x0816, 0x0817), (0x081b, 0x0823), (0x0825, 0x0827), (0x0829, 0x082c), (0x088f, 0x088f), (0x0897, 0x0897),
    (0x08d4, 0x08df), (0x08e3, 0x08e9), (0x08f0, 0x0903), (0x093a, 0x093b), (0x093e, 0x094c), (0x094e, 0x094f),
    (0x0955, 0x0957), (0x0962, 0x0963), (0x0981, 0x0983), (0x09be, 0x09c4), (0x09c7, 0x09c8), (0x09cb, 0x09cc),
    (0x09d7, 0x09d7), (0x09e2, 0x09e3), (0x0a01, 0x0a03), (0x0a3e, 0x0a42), (0x0a47, 0x0a48), (0x0a4b, 0x0a4c),
    (0x0a51, 0x0a51), (0x0a70, 0x0a71), (0x0a75, 0x0a75), (0x0a81, 0x0a83), (0x0abe, 0x0ac5), (0x0ac7, 0x0ac9),
    (0x0acb, 0x0acc), (0x0ae2, 0x0ae3), (0x0afa, 0x0afc), (0x0b01, 0x0b03), (0x0b3e, 0x0b44), (0x0b47, 0x0b48),
    (0x0b4b, 0x0b4c), (0x0b56, 0x0b57), (0x0b62, 0x0b63), (0x0b82, 0x0b82), (0x0bbe, 0x0bc2), (0x0bc6, 0x0bc8),
    (0x0bca, 0x0bcc), (0x0bd7, 0x0bd7), (0x0c00, 0x0c04), (0x0c3e, 0x0c44), (0x0c46, 0x0c48), (0x0c4a, 0x0c4c),
    (0x0c55, 0x0c56), (0x0c5c, 0x0c5c), (0x0c62, 0x0c63), (0x0c81, 0x0c83), (0x0cbe, 0x0cc4), (0x0cc6, 0x0cc8),
    (0x0cca, 0x0ccc), (0x0cd5, 0x0cd6), (0x0cdc, 0x0cdc), (0x0ce2, 0x0ce3), (0x0cf3, 0x0cf3), (0x0d00, 0x0d03),
    (0x0d3e, 0x0d44), (0x0d46, 0x0d48), (0x0d4a, 0x0d4c), (0x0d57, 0x0d57), (0x0d62, 0x0d63), (0x0d81, 0x0d83),
    (0x0dcf, 0x0dd4), (0x0dd6, 0x0dd6), (0x0dd8, 0x0ddf), (0x0df2, 0x0df3), (0x0e31, 0x0e31), (0x0e34, 0x0e3a),
    (0x0e4d, 0x0e4d), (0x0eb1, 0x0eb1), (0x0eb4, 0x0eb9), (0x0ebb, 0x0ebc), (0x0ecd, 0x0ecd), (0x0f71, 0x0f83),
    (0x0f8d, 0x0f97), (0x0f99, 0x0fbc), (0x102b, 0x1036), (0x1038, 0x1038), (0x103b, 0x103e), (0x1056, 0x1059),
    (0x105e, 0x1060), (0x1062, 0x1064), (0x1067, 0x106d), (0x1071, 0x1074), (0x1082, 0x108d), (0x108f, 0x108f),
    (0x109a, 0x109d), (0x1712, 0x1713), (0x1732, 0x1733), (0x1752, 0x1753), (0x1772, 0x1773), (0x17b6, 0x17c8),
    (0x1885, 0x1886), (0x18a9, 0x18a9), (0x1920, 0x192b), (0x1930, 0x1938), (0x1a17, 0x1a1b), (0x1a55, 0x1a5e),
    (0x1a61, 0x1a74), (0x1abf, 0x1ac0), (0x1acc, 0x1ace), (0x1b00, 0x1b04), (0x1b35, 0x1b43), (0x1b80, 0x1b82),
    (0x1ba1, 0x1ba9), (0x1bac, 0x1bad), (0x1be7, 0x1bf1), (0x1c24, 0x1c36), (0x1dd3, 0x1df4), (0x24b6, 0x24e9),
    (0x2de0, 0x2dff), (0xa674, 0xa67b), (0xa69e, 0xa69f), (0xa7ce, 0xa7cf), (0xa7d2, 0xa7d2), (0xa7d4, 0xa7d4),
    (0xa7f1, 0xa7f1), (0xa802, 0xa802), (0xa80b, 0xa80b), (0xa823, 0xa827), (0xa880, 0xa881), (0xa8b4, 0xa8c3),
    (0xa8c5, 0xa8c5), (0xa8ff, 0xa8ff), (0xa926, 0xa92a), (0xa947, 0xa952), (0xa980, 0xa983), (0xa9b4, 0xa9bf),
    (0xa9e5, 0xa9e5), (0xaa29, 0xaa36), (0xaa43, 0xaa43), (0xaa4c, 0xaa4d), (0xaa7b, 0xaa7d), (0xaab0, 0xaab0),
    (0xaab2, 0xaab4), (0xaab7, 0xaab8), (0xaabe, 0xaabe), (0xaaeb, 0xaaef), (0xaaf5, 0xaaf5), (0xabe3, 0xabea),
    (0xfb1e, 0xfb1e),
];
