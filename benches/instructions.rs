//! What a request costs in instructions, and in system calls on the thread that handles it.
//!
//! `cargo bench --bench instructions` compares the counts with those in `instructions.txt`, and fails if one has grown by
//! more than 3 %; with `-- --update` it writes them there. It needs valgrind and strace.
//!
//! The program runs itself, under valgrind for instructions and under strace for system calls. Both look at the main
//! thread only, so the sending thread is not in the figures.

#![expect(clippy::print_stdout, reason = "the counts are for a person")]

mod callgrind;
mod scenarios;

use std::{
    collections::HashMap,
    env, fmt, fs,
    path::Path,
    process::{Command, ExitCode},
};

use self::{
    callgrind::{FEW, instructions, read, run_under},
    scenarios::{SCENARIOS, request},
};

/// The counts to compare with.
const KNOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
const MAX_GROWTH: f64 = 0.03;
/// The bare router has none of this crate's code: if it differs, so does something else.
const MAX_BARE_CHANGE: f64 = 0.005;

/// System calls are few, so more requests are needed to see them.
const MANY_MORE: usize = 11_000;
const MAX_SYSTEM_CALLS: usize = (MANY_MORE - FEW) / 50;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", name, count] => {
            run(name, count.parse().expect("a number"));
            ExitCode::SUCCESS
        }
        // `cargo bench` adds `--bench`; without it this is a test, of which there are none.
        ref arguments if !arguments.contains(&"--bench") => ExitCode::SUCCESS,
        ref arguments => measure(arguments.contains(&"--update")),
    }
}

/// What is measured.
fn run(name: &str, count: usize) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
    let mut call = scenario.start();
    (0..count).for_each(|_| call(request()));
}

fn measure(update: bool) -> ExitCode {
    let mut counts = Counts { compiler: compiler(), of: Vec::new() };
    let mut totals = HashMap::new();
    let mut calling = Vec::new();
    for scenario in SCENARIOS {
        let total = instructions(directory(), &["run", scenario.name]);
        let base = if scenario.over == scenario.name { 0 } else { totals[scenario.over] };
        totals.insert(scenario.name, total);
        counts.of.push((scenario.name.to_owned(), total - base));
        calling.push(system_calls(scenario.name));
    }
    let further = (totals["sampled, 10 subsegments"] - totals["sampled, 1 subsegment"]) / 9;
    counts.of.push(("each further subsegment".to_owned(), further));

    let known = Counts::read();
    println!("\nInstructions of a request, and system calls of {} requests ({})\n", MANY_MORE - FEW, counts.compiler);
    println!("| scenario | Ir | over | Ir over it | checked in | change | system calls |");
    println!("|---|--:|---|--:|--:|--:|--:|");
    for (place, (name, count)) in counts.of.iter().enumerate() {
        let scenario = SCENARIOS.get(place);
        println!(
            "| {name} | {} | {} | {count} | {} | {} | {} |",
            cell(scenario.map(|scenario| totals[scenario.name])),
            cell(scenario.map(|scenario| scenario.over)),
            cell(known.get(name)),
            cell(known.growth(name, *count).map(|growth| format!("{:+.1} %", growth * 100.0))),
            cell(calling.get(place)),
        );
    }
    println!();
    let grown = if update {
        fs::write(KNOWN, counts.to_string()).expect("the file of counts");
        Vec::new()
    } else {
        grown(&counts, &known)
    };
    for name in &grown {
        println!("{name}: more than {} % above the count checked in; `-- --update` checks it in", MAX_GROWTH * 100.0);
    }
    for (scenario, calls) in SCENARIOS.iter().zip(&calling).filter(|(_, calls)| **calls > MAX_SYSTEM_CALLS) {
        println!("{}: {calls} system calls, more than {MAX_SYSTEM_CALLS}", scenario.name);
    }
    if grown.is_empty() && calling.iter().all(|calls| *calls <= MAX_SYSTEM_CALLS) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// What has grown, as far as the counts can be compared.
fn grown<'a>(counts: &'a Counts, known: &Counts) -> Vec<&'a str> {
    if known.compiler != counts.compiler {
        println!("NOT COMPARED: the counts checked in are those of {}", known.compiler);
        return Vec::new();
    }
    let bare = counts.get("bare").and_then(|count| known.growth("bare", count));
    if bare.is_none_or(|change| change.abs() > MAX_BARE_CHANGE) {
        println!("NOT COMPARED: the bare router differs, so dependencies, libc or valgrind are others");
        return Vec::new();
    }
    let has_grown = |(name, count): &&(String, i64)| known.growth(name, *count).is_none_or(|by| by > MAX_GROWTH);
    counts.of.iter().filter(has_grown).map(|(name, _)| name.as_str()).collect()
}

/// Instructions of a request over those of the scenario that it adds something to.
struct Counts {
    /// What the counts depend on besides the code.
    compiler: String,
    of: Vec<(String, i64)>,
}

impl Counts {
    /// Those that are checked in: the compiler, and lines of a count and a name.
    fn read() -> Self {
        let text = fs::read_to_string(KNOWN).unwrap_or_default();
        let (compiler, counts) = text.split_once('\n').unwrap_or_default();
        let parse = |line: &str| {
            let (count, name) = line.trim_start().split_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        Self { compiler: compiler.to_owned(), of: counts.lines().filter_map(parse).collect() }
    }

    fn get(&self, name: &str) -> Option<i64> {
        self.of.iter().find(|(own, _)| own == name).map(|(_, count)| *count)
    }

    fn growth(&self, name: &str, count: i64) -> Option<f64> {
        self.get(name).map(|known| count as f64 / known as f64 - 1.0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.compiler)?;
        self.of.iter().try_for_each(|(name, count)| writeln!(f, "{count:>6} {name}"))
    }
}

fn compiler() -> String {
    format!("rustc {} for {} {}", env!("TOWER_XRAY_RUSTC_VERSION"), env::consts::ARCH, env::consts::OS)
}

/// System calls of many requests.
fn system_calls(scenario: &str) -> usize {
    let trace = directory().join("strace.out");
    let of = |requests: usize| {
        let mut strace = Command::new("strace");
        // Without `-f`, it is about the first thread.
        strace.arg("-o").arg(&trace);
        run_under(strace, &["run", scenario], requests);
        read(&trace).lines().count()
    };
    let few = of(FEW);
    of(MANY_MORE).saturating_sub(few)
}

fn directory() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}
