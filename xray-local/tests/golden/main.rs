//! Everything that the terminal shows, byte for byte: fixed datagrams in, what the checks say and how it is drawn out.
//!
//! `shown.txt` is the expected text. `␛` stands there for the character that starts a colour.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod scenes;

use std::{fmt::Write as _, fs, path::Path};

use xray_local::{RenderOptions, Trace, check_datagram, check_document};

/// The narrowest, the last without bars and the first with them, the default, and one with room to spare.
const WIDTHS: [usize; 5] = [0, 59, 60, 100, 160];

#[test]
fn what_the_terminal_shows_stays_as_it_is() {
    let shown = scenes::all().into_iter().map(|(name, datagrams)| scene(name, &datagrams)).collect::<String>();
    let expected = include_str!("shown.txt");
    if shown != expected {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shown.txt");
        fs::write(&path, &shown).unwrap();
        let line = shown.lines().zip(expected.lines()).position(|(shown, expected)| shown != expected);
        let line = line.unwrap_or_else(|| shown.lines().count().min(expected.lines().count()));
        panic!("line {} differs from shown.txt; what is shown now: {}", line + 1, path.display());
    }
}

fn scene(name: &str, datagrams: &[Vec<u8>]) -> String {
    let mut shown = format!("######## {name}\n");
    let mut documents = Vec::new();
    for datagram in datagrams {
        match check_datagram(datagram) {
            Err(problem) => writeln!(shown, "{problem}").unwrap(),
            Ok(document) => {
                for problem in check_document(&document) {
                    writeln!(shown, "{problem}").unwrap();
                }
                documents.push(document);
            }
        }
    }
    let traces = Trace::group(documents);
    for trace in &traces {
        writeln!(shown, "==== {}: {} documents", trace.id(), trace.documents().len()).unwrap();
        for line in trace.to_json_lines().lines() {
            // One document is padded with 64,000 bytes.
            let padded = line.len() > 20_000;
            shown += &if padded { format!("{}… {} bytes\n", &line[..200], line.len()) } else { format!("{line}\n") };
        }
        for width in WIDTHS {
            writeln!(shown, "---- {width} columns").unwrap();
            shown += &trace.render(&RenderOptions::default().width(width).color(false));
        }
        shown += "---- 80 columns, in colour\n";
        shown += &trace.render(&RenderOptions::default().width(80));
    }
    shown.replace('\u{1b}', "␛")
}
