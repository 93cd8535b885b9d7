//! What a request costs in instructions, allocations, and system calls on the thread that handles it.
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
    callgrind::{Counts, FEW, count, counted, read, run_under},
    scenarios::{SCENARIOS, Scenario, request},
};

/// The counts to compare with.
const KNOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
const MAX_GROWTH: f64 = 0.03;
/// So many more may come of how the compiler has arranged the code, and of what the sending thread does meanwhile.
const MIN_GROWTH: i64 = 120;
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
fn run(name: &str, requests: usize) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
    let mut call = scenario.start();
    counted(requests, || call(request()));
}

fn measure(update: bool) -> ExitCode {
    let mut results = Results { compiler: compiler(), instructions: Vec::new() };
    let mut totals: HashMap<&str, Counts> = HashMap::new();
    let known = Results::read();
    println!(
        "\nInstructions and allocations of a request, system calls of {} ({})\n",
        MANY_MORE - FEW,
        results.compiler
    );
    println!("| scenario | Ir | over | Ir over it | checked in | change | allocations over it | system calls |");
    println!("|---|--:|---|--:|--:|--:|--:|--:|");
    let mut calling = Vec::new();
    for &Scenario { name, over, .. } in SCENARIOS {
        let total = count(directory(), &["run", name]);
        let base = totals.get(over).copied().unwrap_or_default();
        totals.insert(name, total);
        let instructions = total.instructions - base.instructions;
        let calls = system_calls(name);
        println!(
            "| {name} | {} | {over} | {instructions} | {} | {} | {calls} |",
            total.instructions,
            known.compared(name, instructions),
            total.allocations - base.allocations,
        );
        results.instructions.push((name.to_owned(), instructions));
        if calls > MAX_SYSTEM_CALLS {
            calling.push(name);
        }
    }
    let [one, ten] = ["sampled, 1 subsegment", "sampled, 10 subsegments"].map(|name| totals[name]);
    let (name, further) = ("each further subsegment", (ten.instructions - one.instructions) / 9);
    let allocations = (ten.allocations - one.allocations) as f64 / 9.0;
    println!("| {name} | | | {further} | {} | {allocations:.1} | |\n", known.compared(name, further));
    results.instructions.push((name.to_owned(), further));

    let grown = if update { Vec::new() } else { grown(&results, &known) };
    if update {
        fs::write(KNOWN, results.to_string()).expect("the file of counts");
    }
    for name in &grown {
        println!("{name}: more than {} % above the count checked in; `-- --update` checks it in", MAX_GROWTH * 100.0);
    }
    for name in &calling {
        println!("{name}: more than {MAX_SYSTEM_CALLS} system calls");
    }
    if grown.is_empty() && calling.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What has grown, as far as the counts can be compared.
fn grown<'a>(results: &'a Results, known: &Results) -> Vec<&'a str> {
    if known.compiler != results.compiler {
        println!("NOT COMPARED: the counts checked in are those of {}", known.compiler);
        return Vec::new();
    }
    let bare = results.get("bare").and_then(|count| known.growth("bare", count));
    if bare.is_none_or(|change| change.abs() > MAX_BARE_CHANGE) {
        println!("NOT COMPARED: the bare router differs, so dependencies, libc or valgrind are others");
        return Vec::new();
    }
    let has_grown = |(name, count): &&(String, i64)| {
        known.get(name).is_none_or(|known| count - known > MIN_GROWTH.max((known as f64 * MAX_GROWTH) as i64))
    };
    results.instructions.iter().filter(has_grown).map(|(name, _)| name.as_str()).collect()
}

/// Instructions of a request over those of the scenario that it adds something to.
struct Results {
    /// What the counts depend on besides the code.
    compiler: String,
    /// By scenario.
    instructions: Vec<(String, i64)>,
}

impl Results {
    /// Those that are checked in: the compiler, and lines of a count and a name.
    fn read() -> Self {
        let text = fs::read_to_string(KNOWN).unwrap_or_default();
        let (compiler, counts) = text.split_once('\n').unwrap_or_default();
        let parse = |line: &str| {
            let (count, name) = line.trim_start().split_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        Self { compiler: compiler.to_owned(), instructions: counts.lines().filter_map(parse).collect() }
    }

    fn get(&self, name: &str) -> Option<i64> {
        self.instructions.iter().find(|(own, _)| own == name).map(|(_, count)| *count)
    }

    fn growth(&self, name: &str, count: i64) -> Option<f64> {
        self.get(name).map(|known| count as f64 / known as f64 - 1.0)
    }

    /// Two cells of the table.
    fn compared(&self, name: &str, count: i64) -> String {
        let cells = self.get(name).zip(self.growth(name, count));
        cells.map_or_else(|| "|".to_owned(), |(known, growth)| format!("{known} | {:+.1} %", growth * 100.0))
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.compiler)?;
        self.instructions.iter().try_for_each(|(name, count)| writeln!(f, "{count:>6} {name}"))
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
