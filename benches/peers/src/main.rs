//! tower-xray beside other tracing layers, in one run: what each costs in process and over sockets, and what arrives.
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/Cargo.toml            # a few minutes; prints a table
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- quick   # one round of everything
//! ```
//!
//! Every contestant runs in a process of its own, in rounds, so that what else the machine does hits all of them. Costs
//! are over the bare router of the same round; the figure is the median of the rounds. Instructions and
//! allocations need valgrind.

#![expect(clippy::disallowed_methods, reason = "requests come at a given rate")]

#[path = "../../callgrind/mod.rs"]
mod callgrind;
mod contestant;
mod in_process;
#[path = "../../../tests/pass_through.rs"]
mod pass_through;
#[path = "../../proc/mod.rs"]
mod proc;
mod process;
mod sockets;

use std::{
    env,
    net::{SocketAddr, UdpSocket},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use self::{
    callgrind::Counts,
    contestant::{CONTESTANTS, OPENTELEMETRY, OURS},
    in_process::DELIVERED,
    process::Process,
};

const ROUNDS: usize = 5;
/// Over sockets, rounds are short and many: whatever else the machine does should hit everybody.
const LOAD: Duration = Duration::from_millis(500);
const LOADS: usize = 4;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let contestant = |number: &str| &CONTESTANTS[number.parse::<usize>().expect("a contestant")];
    let address = |address: &str| address.parse().expect("an address");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(ROUNDS),
        ["quick"] => compare(1),
        ["time", number, daemon] => in_process::time(contestant(number), address(daemon)),
        ["deliver", number, daemon] => in_process::deliver(contestant(number), address(daemon)),
        ["serve", number, daemon] => sockets::serve(contestant(number), address(daemon)),
        ["count", number, daemon, requests] => {
            in_process::count(contestant(number), address(daemon), requests.parse().expect("a number"));
        }
        ["send", daemon] => in_process::send(address(daemon)),
        ["idle", daemon] => in_process::idle(address(daemon)),
        _ => panic!("no arguments, or `quick`"),
    }
}

/// What is known of a contestant; of the rounds, one value each.
#[derive(Default)]
struct Figures {
    nanoseconds: Vec<f64>,
    background: Vec<f64>,
    requests: Vec<f64>,
    cpu: Vec<f64>,
    counts: Option<Counts>,
    delivery: Option<(f64, f64)>,
}

fn compare(rounds: usize) {
    let daemon = Daemon::start();
    let address = daemon.address.to_string();
    let mut figures: Vec<Figures> = CONTESTANTS.iter().map(|_| Figures::default()).collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}: in process");
        for (number, figures) in figures.iter_mut().enumerate() {
            let time = Process::start(&["time", &number.to_string(), &address]).numbers();
            figures.nanoseconds.push(time[0]);
            figures.background.push(time[1]);
        }
    }
    let servers = 0..CONTESTANTS.len();
    let servers: Vec<_> = servers.map(|number| Process::start(&["serve", &number.to_string(), &address])).collect();
    let mut servers: Vec<_> = servers.into_iter().map(|mut server| (server.numbers()[0] as u16, server)).collect();
    for (port, _) in &servers {
        sockets::load(*port, LOAD);
    }
    eprintln!("over sockets");
    for _ in 0..rounds * LOADS {
        for ((port, server), figures) in servers.iter().zip(&mut figures) {
            let before = server.cpu();
            let requests = f64::from(sockets::load(*port, LOAD));
            figures.cpu.push((server.cpu() - before).as_nanos() as f64 / requests);
            figures.requests.push(requests);
        }
    }
    servers.clear();
    eprintln!("delivery");
    for (number, figures) in figures.iter_mut().enumerate().filter(|(number, _)| CONTESTANTS[*number].delivers) {
        let before = daemon.settled();
        let background = Process::start(&["deliver", &number.to_string(), &address]).numbers()[0];
        let arrived = (daemon.settled() - before) as f64 / f64::from(DELIVERED);
        figures.delivery = Some((arrived, background));
    }
    let before = daemon.settled();
    let send = Process::start(&["send", &address]).numbers()[0];
    let sent = (daemon.settled() - before) as f64 / f64::from(DELIVERED);
    let idle = Process::start(&["idle", &address]).numbers()[0];
    if Command::new("valgrind").arg("--version").output().is_ok() {
        eprintln!("instructions and allocations");
        let directory = env::temp_dir();
        for (number, figures) in figures.iter_mut().enumerate() {
            let arguments = ["count", &number.to_string(), &address];
            figures.counts = Some(callgrind::count(&directory, &arguments));
        }
    }
    print(&figures);
    let [ours, opentelemetry] = [OURS, OPENTELEMETRY].map(|number| &figures[number]);
    let bare = &figures[0];
    let over = |of: &Figures| median(differences(&of.nanoseconds, &bare.nanoseconds));
    println!("\n* sampled, ns over bare, of that of OpenTelemetry: {:.2}", over(ours) / over(opentelemetry));
    let delivery = ours.delivery.unwrap_or_default();
    println!(
        "* background CPU per segment at 40,000/s: {:.0} ns; a bare `send`: {send:.0} ns; ratio {:.2}",
        delivery.1,
        delivery.1 / send
    );
    println!("* of the bare sends at that rate, {:.2} % have arrived", sent * 100.0);
    println!("* memory of an idle recorder: {:.0} kB", idle / 1000.0);
}

fn print(figures: &[Figures]) {
    println!(
        "| | mode | over bare, ns | over bare, Ir | allocations over bare | background CPU, ns | requests/s of bare | \
         CPU per request over bare, ns | delivered at 40,000/s |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    let bare = &figures[0];
    for (contestant, of) in CONTESTANTS.iter().zip(figures) {
        let counted = |what: fn(Counts) -> i64| {
            of.counts.zip(bare.counts).map(|(own, bare)| (what(own) - what(bare)).to_string()).unwrap_or_default()
        };
        println!(
            "| {} | {} | {:.0} | {} | {} | {:.0} | {:.2} | {:.0} | {} |",
            contestant.name,
            contestant.mode,
            median(differences(&of.nanoseconds, &bare.nanoseconds)),
            counted(|counts| counts.instructions),
            counted(|counts| counts.allocations),
            median(of.background.clone()),
            median(of.requests.iter().zip(&bare.requests).map(|(own, bare)| own / bare).collect()),
            median(differences(&of.cpu, &bare.cpu)),
            of.delivery.map(|(arrived, _)| format!("{:.2} %", arrived * 100.0)).unwrap_or_default(),
        );
    }
    println!(
        "\n* the bare router: {:.0} ns, {} Ir, {} allocations; {:.0} requests/s, {:.0} ns of CPU per request",
        median(bare.nanoseconds.clone()),
        bare.counts.unwrap_or_default().instructions,
        bare.counts.unwrap_or_default().allocations,
        median(bare.requests.clone()) / LOAD.as_secs_f64(),
        median(bare.cpu.clone()),
    );
}

fn differences(own: &[f64], bare: &[f64]) -> Vec<f64> {
    own.iter().zip(bare).map(|(own, bare)| own - bare).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A receiver like the daemon: a default socket buffer, one `recv` per datagram.
struct Daemon {
    address: SocketAddr,
    received: Arc<AtomicU64>,
}

impl Daemon {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let address = socket.local_addr().expect("an address");
        let received = Arc::<AtomicU64>::default();
        let counter = received.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while socket.recv(&mut buffer).is_ok() {
                counter.fetch_add(1, Relaxed);
            }
        });
        Self { address, received }
    }

    /// The number of datagrams, as soon as no more of them come.
    fn settled(&self) -> u64 {
        loop {
            let before = self.received.load(Relaxed);
            thread::sleep(Duration::from_millis(300));
            if self.received.load(Relaxed) == before {
                return before;
            }
        }
    }
}
