//! Wildcards agree with a matcher that is too simple to be wrong, and take no longer than it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_xray::sampling::wildcard_match;

fuzz_target!(|input: (String, String)| {
    let (pattern, text) = input;
    assert_eq!(wildcard_match(&pattern, &text), reference(&pattern, &text), "{pattern:?} and {text:?}");
    // The same as a piece that repeats itself, which is what makes a matcher slow; `-timeout` is the bound.
    let (pattern, text) = (pattern.repeat(3), text.repeat(3));
    assert_eq!(wildcard_match(&pattern, &text), reference(&pattern, &text), "{pattern:?} and {text:?}");
    // A text is its own pattern, but for what is special in it.
    assert!(wildcard_match(&text, &text), "{text:?}");
    assert!(wildcard_match("*", &text));
});

/// Dynamic programming over prefixes: `reached[n]` says whether the pattern so far matches the first `n` characters.
fn reference(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        for position in 0..=text.len() {
            next[position] = match (wanted, position) {
                ('*', 0) => reached[0],
                ('*', _) => reached[position] || next[position - 1],
                (_, 0) => false,
                (_, _) => reached[position - 1] && (wanted == '?' || wanted.eq_ignore_ascii_case(&text[position - 1])),
            };
        }
        reached = next;
    }
    reached[text.len()]
}
