//! This program as a child of itself, and work at a given rate.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::proc::cpu;

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
        cpu(&self.child.id().to_string(), |_| true)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does something `bursts` times, one every `period`; late ones are made up for.
pub(crate) fn paced(bursts: u32, period: Duration, mut burst: impl FnMut()) {
    let start = Instant::now();
    for number in 0..bursts {
        std::thread::sleep((start + period * number).saturating_duration_since(Instant::now()));
        burst();
    }
}
