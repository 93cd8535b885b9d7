//! Wildcards of sampling rules and host patterns.
//!
//! In: a pattern and a text. Out: whether they match, in time that is bounded by the product of their lengths.

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters and `?` for exactly one.
///
/// ASCII letters match in either case; there are no escapes, and `*` crosses `/`. It never panics: folding ASCII only
/// keeps the length of every character (the X-Ray SDK for Go panics on `GET /%E2%84%AA` with a rule `*/health`).
/// Nor is it slow: a pattern and a text of 8 kB that are made for it take a millisecond, and one allocation.
///
/// ```
/// use tower_xray::sampling::wildcard_match;
///
/// assert!(wildcard_match("/api/*/items?", "/API/7/itemsX"));
/// assert!(!wildcard_match("*.example.com", "example.com"));
/// ```
#[must_use]
#[inline]
pub fn wildcard_match(pattern: &str, text: &str) -> bool {
    // Most rules are not about a request, and most of these differ in the first characters of its path.
    let same = |(wanted, byte): &(u8, u8)| byte.is_ascii() && wanted.eq_ignore_ascii_case(byte) && *wanted != b'*';
    let start = pattern.bytes().zip(text.bytes()).take_while(same).count();
    match pattern.as_bytes().get(start) {
        None => text.len() == start,
        Some(byte) if byte.is_ascii() && !matches!(byte, b'*' | b'?') => false,
        Some(_) => from_first_difference(&pattern[start..], &text[start..]),
    }
}

fn from_first_difference(pattern: &str, text: &str) -> bool {
    let whole = (pattern, text);
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on when the last `*` has to take one character more, and what was read in vain because of it.
    let mut retry: Option<(&str, &str)> = None;
    let mut in_vain = 0;
    while let Some(next) = text.chars().next() {
        let mut rest = pattern.chars();
        match rest.next() {
            Some('*') => {
                pattern = rest.as_str();
                if pattern.is_empty() {
                    return true;
                }
                retry = Some((pattern, text));
                continue;
            }
            Some(wanted) if wanted == '?' || wanted.eq_ignore_ascii_case(&next) => {
                pattern = rest.as_str();
                text = &text[next.len_utf8()..];
                continue;
            }
            _ => {}
        }
        let Some((after_star, taken)) = &mut retry else { return false };
        let Some(first) = taken.chars().next() else { return false };
        in_vain += taken.len() - text.len();
        if in_vain > 8 * (whole.0.len() + whole.1.len()) {
            return all_at_once(whole.0.as_bytes(), whole.1.as_bytes());
        }
        *taken = &taken[first.len_utf8()..];
        (pattern, text) = (after_star, taken);
    }
    pattern.chars().all(|left| left == '*')
}

/// The same for what repeats itself: instead of going back, it follows all ways to read the text at once.
///
/// A state is a place in the pattern, a bit says whether the text so far can lead there, and 127 places are followed at a
/// time. It works on bytes: a `?` takes the first byte of a character, and any that continue it.
#[cold]
#[inline(never)]
fn all_at_once(mut pattern: &[u8], text: &[u8]) -> bool {
    let continues = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    // By position in the text: whether what is before it matches the pattern up to here.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    while let (false, Some(first)) = (pattern.is_empty(), reached.iter().position(|reached| *reached)) {
        let mut length = 0;
        // The states that a byte leads out of, and those that a continuation byte or any byte leaves as they are.
        let mut leaves = [0_u128; 256];
        let (mut any_leaves, mut continuation_stays, mut any_stays) = (0, 0, 0);
        while let (true, [byte, rest @ ..]) = (length < 127, pattern) {
            pattern = rest;
            match byte {
                b'*' => any_stays |= 1 << length,
                b'?' => {
                    any_leaves |= 1 << length;
                    length += 1;
                    continuation_stays |= 1 << length;
                }
                _ => {
                    leaves[usize::from(byte.to_ascii_lowercase())] |= 1 << length;
                    leaves[usize::from(byte.to_ascii_uppercase())] |= 1 << length;
                    length += 1;
                }
            }
        }
        let mut states = 0_u128;
        for position in first..text.len() {
            states |= u128::from(reached[position]);
            reached[position] = states >> length & 1 == 1;
            let byte = text[position];
            let (leave, stay) = match continues(byte) {
                true => (leaves[usize::from(byte)], any_stays | continuation_stays),
                false => (leaves[usize::from(byte)] | any_leaves, any_stays),
            };
            states = (states & leave) << 1 | states & stay;
        }
        states |= u128::from(reached[text.len()]);
        reached[text.len()] = states >> length & 1 == 1;
    }
    reached[text.len()]
}

/// What of a host matches a pattern: all of it, or all but its port.
pub(crate) fn host_match<'a>(pattern: &str, host: &'a str) -> Option<&'a str> {
    [host, without_port(host)].into_iter().find(|host| wildcard_match(pattern, host))
}

/// The host of `host:port`; an IPv6 address keeps its brackets.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
