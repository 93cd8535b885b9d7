//! Wildcards that are made to be slow: they match what they should, and it takes no time.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tower_xray::sampling::wildcard_match;

/// Going back and forth in these takes 16 million steps. The bound is generous: other tests run at the same time.
#[test]
fn patterns_and_texts_of_8_kilobytes_take_a_fraction_of_a_second() {
    let a = "a".repeat(8000);
    let accents = "\u{e9}".repeat(4000);
    let mixed = "a\u{e9}".repeat(2600);
    for (expected, pattern, text) in [
        (false, format!("*{}b", "a".repeat(4000)), &a),
        (false, format!("*{}b*", "a".repeat(4000)), &a),
        (true, format!("*{}b*", "a".repeat(4000)), &format!("{a}b")),
        (false, format!("*{}b*", "A".repeat(4000)), &a),
        (true, format!("*{}b*A", "A".repeat(4000)), &format!("{a}ba")),
        (true, format!("*{}b*", "a".repeat(4000)), &format!("{}B", a.to_uppercase())),
        (false, format!("{}b", "*a".repeat(4000)), &a),
        (true, "*a".repeat(4000), &a),
        (false, format!("{}b", "*".repeat(8000)), &a),
        (false, format!("*{}b", "?".repeat(4000)), &a),
        (false, format!("*{}b*", "?".repeat(4000)), &a),
        (false, format!("*{}b*", "a?".repeat(2000)), &a),
        (true, format!("*{}b*", "a?".repeat(2000)), &format!("{a}b")),
        (false, "?".repeat(7999), &a),
        (true, format!("*{}", "?".repeat(8000)), &a),
        (false, format!("*{}", "?".repeat(8001)), &a),
        (false, format!("*{}b*", "\u{e9}".repeat(2000)), &accents),
        (false, format!("*{}b*", "?\u{e9}".repeat(1000)), &accents),
        (true, format!("*{}b*", "?\u{e9}".repeat(1000)), &format!("{accents}b")),
        (true, format!("*{}{}b*", "?".repeat(2000), "\u{e9}".repeat(2000)), &format!("{accents}b")),
        (false, format!("*{}{}b*", "?".repeat(2001), "\u{e9}".repeat(2000)), &format!("{accents}b")),
        (false, format!("*{}b*", "?\u{e9}".repeat(1300)), &mixed),
        (false, format!("*{}\u{e8}*", "a?".repeat(1300)), &mixed),
        (false, format!("*{}a*b", "a".repeat(7990)), &format!("{a}c")),
    ] {
        let start = Instant::now();
        assert_eq!(wildcard_match(&pattern, text), expected, "{pattern}");
        let took = start.elapsed();
        assert!(took < Duration::from_millis(200), "{took:?} for {pattern}");
    }
}

/// Whether `text` matches, computed for all beginnings of both, from the shortest on.
fn model(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let nothing = (0..=text.len()).map(|length| length == 0).collect();
    let matches = pattern.chars().fold(nothing, |before: Vec<bool>, wanted| {
        let mut matches = vec![wanted == '*' && before[0]];
        for (length, next) in text.iter().enumerate() {
            matches.push(match wanted {
                '*' => before[length + 1] || matches[length],
                '?' => before[length],
                _ => before[length] && wanted.eq_ignore_ascii_case(next),
            });
        }
        matches
    });
    matches[text.len()]
}

/// Up to so many runs of one piece, which repeat themselves.
fn runs(piece: &'static str, longest: usize, most: usize) -> impl Strategy<Value = String> {
    let run = (piece, 1..=longest).prop_map(|(piece, times)| piece.repeat(times));
    prop::collection::vec(run, 1..=most).prop_map(|runs| runs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_repeats_itself_agrees_with_the_model(
        pattern in runs("[aAb*?\u{e9}\u{1f980}]{1,2}", 70, 6),
        text in runs("[aAb\u{e9}\u{e8}\u{1f980}]{1,2}", 90, 5),
    ) {
        prop_assert_eq!(wildcard_match(&pattern, &text), model(&pattern, &text));
        let within = format!("*{pattern}*");
        prop_assert_eq!(wildcard_match(&within, &text), model(&within, &text), "{}", within);
    }

    /// What comes before and behind makes the way back and forth long.
    #[test]
    fn what_was_made_of_a_text_matches_after_many_near_misses(
        text in runs("a|[ab\u{e9}]", 90, 3),
        marks in prop::collection::vec(0..9, 300),
        near_misses in 0..60_usize,
    ) {
        let pattern: String = text.chars().zip(marks.iter().cycle()).map(|(c, mark)| match mark {
            0 => '?',
            _ => c.to_ascii_uppercase(),
        }).collect();
        let miss: String = text.chars().take(text.chars().count() - 1).collect();
        let all = format!("{}{text}x", miss.repeat(near_misses));
        prop_assert!(wildcard_match(&format!("*{pattern}x"), &all), "{} and {}", pattern, all);
        prop_assert!(wildcard_match(&format!("*{pattern}x*"), &all), "{} and {}", pattern, all);
        let wrong = format!("*{pattern}y*");
        prop_assert!(!wildcard_match(&wrong, &all), "{} and {}", wrong, all);
    }
}
