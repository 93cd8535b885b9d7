//! A million segments as fast as four threads can, to an emitter that cannot send as fast: nobody waits, no memory
//! piles up, and every document is accounted for.
//!
//! The burst is a process of its own, so that its memory can be seen from outside. `BURST=<number>` sets its size.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test talks to a person, and may fail")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::UdpSocket,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tower_xray::{Recorder, emitter::UdpEmitter, sampling::SampleAll};

const THREADS: u32 = 4;
const QUEUE: usize = 4 << 20;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        return child(&arguments[at + 1], arguments[at + 2].parse().unwrap());
    }
    #[expect(clippy::disallowed_methods, reason = "the size of the burst is given by its environment")]
    let burst: u32 = env::var("BURST").map_or(1_000_000, |burst| burst.parse().unwrap());
    // Nobody reads, as a daemon that is too slow; the sender cannot know.
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap().to_string();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--child", &address, &burst.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "ready");
    let before = peak(child.id());
    stdin.write_all(b"\n").unwrap();
    println!("{}", next());
    if let (Some(before), Some(after)) = (before, peak(child.id())) {
        let grown = after - before;
        println!("grown by {grown} bytes at most, with {QUEUE} bytes of queue");
        // What the allocator keeps, and what the threads need, comes on top.
        assert!(grown < QUEUE + (2 << 20), "{grown}");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// The most memory that the process has had, in bytes; known on Linux only.
fn peak(process: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<usize>().ok()?)
}

fn child(address: &str, burst: u32) {
    let emitter = UdpEmitter::builder(address.parse().unwrap()).max_queue_bytes(QUEUE).build().unwrap();
    let recorder = Recorder::builder().environment(|_| None).sampling(SampleAll).emitter(emitter).build().unwrap();
    recorder.begin_segment("warm").close();
    println!("ready");
    let mut stdin = std::io::stdin().lock();
    stdin.read_exact(&mut [0]).unwrap();
    let began = Instant::now();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let recorder = recorder.clone();
            thread::spawn(move || {
                let mut waits = Waits::default();
                for _ in 0..burst / THREADS {
                    let segment = recorder.begin_segment("orders");
                    let began = Instant::now();
                    segment.close();
                    waits.add(began.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Waits::default();
    threads.into_iter().for_each(|thread| waits.join(&thread.join().unwrap()));
    let elapsed = began.elapsed();
    assert_eq!(recorder.flush(Duration::from_secs(60)).wait(), 0);
    let stats = recorder.stats();
    let (p50, p99) = (waits.quantile(0.5), waits.quantile(0.99));
    println!(
        "{} segments in {elapsed:?}, closed in {p50:?} (median), {p99:?} (p99), {:?} (max): {} emitted, {:?}",
        stats.opened, waits.max, stats.emitted, stats.dropped
    );
    assert_eq!(stats.opened, u64::from(burst / THREADS * THREADS) + 1);
    assert_eq!(stats.emitted + stats.dropped.overflow, stats.opened);
    assert_eq!(stats.dropped.overflow, stats.dropped.total());
    // As long as somebody waits for a processor, but not for a socket.
    assert!(p99 < Duration::from_millis(5) && waits.max < Duration::from_secs(2));
    // Until the parent has looked.
    let _ = stdin.read(&mut [0]);
}

/// How often something has taken less than a power of two of nanoseconds: a list of all would be memory too.
struct Waits {
    below: [u64; 64],
    max: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { below: [0; 64], max: Duration::ZERO }
    }
}

impl Waits {
    fn add(&mut self, wait: Duration) {
        self.below[64 - (wait.as_nanos() as u64).leading_zeros() as usize] += 1;
        self.max = self.max.max(wait);
    }

    fn join(&mut self, other: &Self) {
        self.below.iter_mut().zip(other.below).for_each(|(count, other)| *count += other);
        self.max = self.max.max(other.max);
    }

    fn quantile(&self, part: f64) -> Duration {
        let wanted = (part * self.below.iter().sum::<u64>() as f64) as u64;
        let mut counted = 0;
        let bits = self.below.iter().position(|count| {
            counted += count;
            counted > wanted
        });
        Duration::from_nanos(1 << bits.unwrap_or(63))
    }
}
