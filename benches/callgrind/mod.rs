//! Counts instructions: the running program runs itself under callgrind.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

pub(crate) const FEW: usize = 1_000;
const MANY: usize = 3_000;

/// Instructions that the main thread needs for each of the calls that this program makes when it is run with these
/// arguments and their number.
///
/// The difference between many and few calls is free of what happens once.
pub(crate) fn instructions(directory: &Path, arguments: &[&str]) -> i64 {
    let profile = directory.join("callgrind.out");
    let of = |calls: usize| {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--separate-threads=yes", "--dump-line=no", "--read-inline-info=no"]);
        valgrind.arg(format!("--callgrind-out-file={}", profile.display()));
        run_under(valgrind, arguments, calls);
        // That of the first thread.
        let profile = read(&profile.with_extension("out-01"));
        let totals = profile.lines().find_map(|line| line.strip_prefix("totals: "));
        totals.and_then(|totals| totals.parse::<i64>().ok()).expect("a count of instructions")
    };
    (of(MANY) - of(FEW)) / (MANY - FEW) as i64
}

/// Runs this program under a tool, as the last arguments of that.
pub(crate) fn run_under(mut tool: Command, arguments: &[&str], calls: usize) {
    let program = env::current_exe().expect("the path of this program");
    tool.arg(program).args(arguments).arg(calls.to_string());
    let output = tool.stdout(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", tool.get_program().display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
