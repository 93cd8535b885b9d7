//! Wildcards of sampling rules and host patterns.

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters and `?` for exactly one.
///
/// ASCII letters match in either case; there are no escapes, and `*` crosses `/`. It never panics: folding ASCII only
/// keeps the length of every character (the X-Ray SDK for Go panics on `GET /%E2%84%AA` with a rule `*/health`).
///
/// ```
/// use tower_xray::sampling::wildcard_match;
///
/// assert!(wildcard_match("/api/*/items?", "/API/7/itemsX"));
/// assert!(!wildcard_match("*.example.com", "example.com"));
/// ```
#[must_use]
pub fn wildcard_match(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on when the last `*` has to take one character more.
    let mut retry: Option<(&str, &str)> = None;
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
        *taken = &taken[first.len_utf8()..];
        (pattern, text) = (after_star, taken);
    }
    pattern.chars().all(|left| left == '*')
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
