//! Counts instructions and allocations: the running program runs itself under callgrind.

use std::{
    collections::HashMap,
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

pub(crate) const FEW: usize = 1_000;
const MANY: usize = 3_000;

/// What a call takes on the main thread.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) instructions: i64,
    pub(crate) allocations: i64,
}

/// Makes the calls that are to be counted.
#[inline(never)]
pub(crate) fn counted(calls: usize, mut call: impl FnMut()) {
    (0..calls).for_each(|_| call());
}

/// Counts what each of the calls takes that this program makes, by [`counted`], when it is run with these arguments and
/// their number.
///
/// The difference between many and few calls is free of what the first ones do.
pub(crate) fn count(directory: &Path, arguments: &[&str]) -> Counts {
    let output = directory.join("callgrind.out");
    let of = |calls: usize| {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--separate-threads=yes", "--dump-line=no", "--read-inline-info=no"]);
        valgrind.arg("--toggle-collect=*callgrind*counted*");
        valgrind.arg(format!("--callgrind-out-file={}", output.display()));
        run_under(valgrind, arguments, calls);
        // That of the first thread.
        let profile = read(&output.with_extension("out-01"));
        (instructions(&profile), allocations(&profile))
    };
    let (few, many) = (of(FEW), of(MANY));
    let calls = (MANY - FEW) as i64;
    Counts { instructions: (many.0 - few.0) / calls, allocations: (many.1 - few.1) / calls }
}

fn instructions(profile: &str) -> i64 {
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.and_then(|totals| totals.parse().ok()).expect("a count of instructions")
}

/// How often the allocator was called for memory.
fn allocations(profile: &str) -> i64 {
    let mut names = HashMap::new();
    let mut called = "";
    let mut count = 0;
    for line in profile.lines() {
        if let Some(calls) = line.strip_prefix("calls=") {
            if matches!(names.get(called), Some(&("malloc" | "calloc" | "realloc"))) {
                count += calls.split(' ').next().and_then(|calls| calls.parse::<i64>().ok()).expect("a count of calls");
            }
        } else if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            // The name is told once, and the number in front of it stands for it from then on.
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            called = number;
        }
    }
    count
}

/// Runs this program under a tool, as the last arguments of that.
pub(crate) fn run_under(mut tool: Command, arguments: &[&str], calls: usize) {
    let program = env::current_exe().expect("the path of this program");
    tool.arg(program).args(arguments).arg(calls.to_string());
    let output = tool.stdout(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", tool.get_program().to_string_lossy()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
