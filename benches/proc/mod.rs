//! What Linux says of the CPU time and memory of a process.

use std::{fs, time::Duration};

/// CPU time of the living threads of a process whose names are to be counted. The process is its id, or `self`.
pub(crate) fn cpu(process: &str, counts: impl Fn(&str) -> bool) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("threads, on Linux").flatten();
    let of = |thread: fs::DirEntry| {
        let read = |file| fs::read_to_string(thread.path().join(file)).ok();
        let name = read("comm")?;
        // The first number is the time that it has run, in nanoseconds.
        let ran = read("schedstat")?.split(' ').next()?.parse().ok()?;
        counts(name.trim_end()).then_some(Duration::from_nanos(ran))
    };
    // One that has ended in the meantime has nothing to say.
    threads.filter_map(of).sum()
}

/// Resident memory of this process, in bytes.
#[allow(dead_code, reason = "not everybody measures memory")]
pub(crate) fn memory() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("memory, on Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}
