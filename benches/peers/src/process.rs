//! This program as a child of itself, and what the kernel says of CPU time and memory.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// This program with other arguments; killed when dropped.
pub(crate) struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let program = env::current_exe().expect("the path of this program");
        let child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("a child process");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output }
    }

    /// The next line that it prints, as numbers.
    pub(crate) fn numbers(&mut self) -> Vec<f64> {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
    }

    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&format!("/proc/{}", self.child.id())).0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What all other threads of this process have run so far.
pub(crate) fn background_cpu() -> Duration {
    let (all, main) = cpu_of("/proc/self");
    all - main
}

pub(crate) fn own_cpu() -> Duration {
    cpu_of("/proc/self").1
}

/// Of all threads of a process that live, and of its first.
fn cpu_of(process: &str) -> (Duration, Duration) {
    let of = |path: &str| {
        let times = fs::read_to_string(path).unwrap_or_default();
        Duration::from_nanos(times.split(' ').next().and_then(|ran| ran.parse().ok()).unwrap_or_default())
    };
    let threads = fs::read_dir(format!("{process}/task")).expect("threads").flatten();
    let all = threads.map(|thread| of(&format!("{}/schedstat", thread.path().display()))).sum();
    (all, of(&format!("{process}/schedstat")))
}

/// Resident memory of this process, in bytes.
pub(crate) fn memory() -> f64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("memory");
    pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).map_or(0.0, |pages: f64| pages * 4096.0)
}

/// Does something `bursts` times, one every `period`; late ones are made up for.
pub(crate) fn paced(bursts: u32, period: Duration, mut burst: impl FnMut()) {
    let start = Instant::now();
    for number in 0..bursts {
        std::thread::sleep((start + period * number).saturating_duration_since(Instant::now()));
        burst();
    }
}
