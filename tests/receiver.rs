//! A daemon that moves, stalls, cannot be reached or has no address: in a network of its own, with hosts of its own.
//!
//! The program starts itself again in new namespaces, with `unshare`, `mount` and `ip` (util-linux and iproute2). Where
//! those are missing or not permitted it says so and does nothing.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test talks to a person, and may fail")]

use std::{
    collections::BTreeMap,
    env, fs,
    net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tower_xray::{Recorder, emitter::UdpEmitter, recorder::Stats, sampling::SampleAll};

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const PORT: u16 = 2000;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let namespace = fs::read_link("/proc/self/ns/mnt").map(|path| path.display().to_string()).unwrap_or_default();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child-of") {
        assert_ne!(arguments[at + 1], namespace, "this replaces /etc: it needs a namespace of its own");
        return child();
    }
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "--mount", "--"]).args(arguments);
        command
    };
    let permitted = unshare(&["ip", "link", "set", "lo", "up"]).output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        println!("skipped: no namespaces here (they take Linux, `unshare`, `ip`, and the permission)");
        return;
    }
    let program = env::current_exe().unwrap();
    let status = unshare(&[program.to_str().unwrap(), "--child-of", &namespace]).status().unwrap();
    assert!(status.success(), "{status}");
}

fn child() {
    run("mount -t tmpfs none /etc");
    fs::write("/etc/nsswitch.conf", "hosts: files dns\n").unwrap();
    fs::write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").unwrap();
    fs::write("/etc/gai.conf", "reload yes\n").unwrap();
    fs::write("/etc/host.conf", "multi on\n").unwrap();
    run("ip link set lo up");
    let tests: [(&str, fn()); 11] = [
        ("dies and comes back elsewhere", dies_and_comes_back_elsewhere),
        ("has no address at first", has_no_address_at_first),
        ("gets its address just in time", gets_its_address_just_in_time),
        ("has a silent name service", has_a_silent_name_service),
        ("listens at IPv4 only", || listens_at_one_family("reload yes\n", false)),
        ("listens at IPv6 only", || listens_at_one_family("reload yes\nprecedence ::ffff:0:0/96 100\n", true)),
        ("cannot be reached", cannot_be_reached),
        ("leaves a network that cannot be reached", leaves_a_network_that_cannot_be_reached),
        ("loses its first address", loses_its_first_address),
        ("stalls", stalls),
        ("stalls for a moment", stalls_for_a_moment),
    ];
    // This one waits for half a minute.
    let moving = thread::spawn(moves_while_somebody_still_listens);
    for (name, test) in tests {
        let began = Instant::now();
        test();
        println!("a daemon that {name}: {:?}", began.elapsed());
    }
    moving.join().unwrap();
    println!("{} passed, 0 failed", tests.len() + 1);
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
}

/// What the name service says from now on.
fn resolve(name: &'static str, addresses: &[&'static str]) {
    static HOSTS: Mutex<BTreeMap<&str, Vec<&str>>> = Mutex::new(BTreeMap::new());
    let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
    hosts.insert(name, addresses.to_vec());
    let lines = hosts.iter().flat_map(|(name, addresses)| addresses.iter().map(move |ip| format!("{ip} {name}\n")));
    // At once, so that no lookup finds half of it.
    fs::write("/etc/hosts.new", lines.collect::<String>()).unwrap();
    fs::rename("/etc/hosts.new", "/etc/hosts").unwrap();
}

fn addresses(name: &str) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = (name, PORT).to_socket_addrs().unwrap().collect();
    addresses.dedup();
    addresses
}

struct Receiver(UdpSocket);

impl Receiver {
    fn bind(ip: impl Into<IpAddr>) -> Self {
        let socket = UdpSocket::bind((ip.into(), PORT)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        Self(socket)
    }

    /// How many documents are there, if any comes within a few milliseconds.
    fn received(&self) -> u64 {
        let mut buffer = vec![0; 65_536];
        std::iter::from_fn(|| self.0.recv(&mut buffer).ok()).count() as u64
    }
}

/// A program that is traced, and how long it has waited for that.
struct Program {
    recorder: Recorder,
    waits: Vec<Duration>,
}

impl Program {
    fn sending_to(address: &str) -> Self {
        let emitter = UdpEmitter::new(address.parse().unwrap()).unwrap();
        let builder = Recorder::builder().environment(|_| None).sampling(SampleAll).emitter(emitter);
        Self { recorder: builder.build().unwrap(), waits: Vec::new() }
    }

    fn report(&mut self, count: usize, bytes: usize) {
        for _ in 0..count {
            let segment = self.recorder.begin_segment("report");
            segment.add_metadata("m", "x".repeat(bytes));
            let began = Instant::now();
            segment.close();
            self.waits.push(began.elapsed());
        }
    }

    /// Goes on, with hundreds of documents per second, until one of them arrives.
    fn report_until_received(&mut self, receiver: &Receiver) -> u64 {
        let began = Instant::now();
        loop {
            self.report(3, 0);
            let received = receiver.received();
            if received > 0 {
                return received;
            }
            assert!(began.elapsed() < PATIENCE, "nothing arrives: {:?}", self.recorder.stats());
        }
    }

    /// Everything is accounted for: what has become of it, and how many documents have been begun.
    fn settle(&self) -> Stats {
        assert_eq!(self.recorder.flush(PATIENCE).wait(), 0);
        let stats = self.recorder.stats();
        assert_eq!(stats.emitted + stats.dropped.total(), self.waits.len() as u64, "{stats:?}");
        stats
    }

    /// The fault has ended: nothing is lost any more.
    fn ends_well(mut self, receiver: &Receiver) {
        let before = self.settle();
        receiver.received();
        self.report(20, 0);
        let after = self.settle();
        assert_eq!((after.emitted - before.emitted, after.dropped), (20, before.dropped));
        assert_eq!(receiver.received(), 20);
        self.never_waited();
    }

    /// Although nothing can be sent.
    fn shuts_down_in_time(self) {
        let began = Instant::now();
        let left = self.recorder.shutdown(Duration::from_millis(200)).wait() as u64;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let stats = self.settle();
        assert!(left > 0);
        assert_eq!(stats.dropped.shutdown, left, "{stats:?}");
        self.never_waited();
    }

    fn never_waited(mut self) {
        self.waits.sort();
        // A busy machine may take the processor away, now and then.
        let (p90, max) = (self.waits[self.waits.len() * 9 / 10], self.waits[self.waits.len() - 1]);
        assert!(p90 < Duration::from_millis(10) && max < Duration::from_secs(2), "p90 {p90:?}, max {max:?}");
    }
}

fn dies_and_comes_back_elsewhere() {
    resolve("elsewhere", &["127.0.1.1"]);
    let mut program = Program::sending_to("elsewhere:2000");
    let receiver = Receiver::bind([127, 0, 1, 1]);
    program.report_until_received(&receiver);
    drop(receiver);
    program.report(10, 0);
    let stats = program.settle();
    assert_eq!((stats.dropped.refused, stats.dropped.total()), (10, 10));
    let receiver = Receiver::bind([127, 0, 1, 2]);
    resolve("elsewhere", &["127.0.1.2"]);
    let began = Instant::now();
    program.report_until_received(&receiver);
    // Whoever is refused asks again soon.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let stats = program.settle();
    assert_eq!(stats.dropped.refused, stats.dropped.total());
    program.ends_well(&receiver);
}

fn moves_while_somebody_still_listens() {
    resolve("moves", &["127.0.2.1"]);
    let mut program = Program::sending_to("moves:2000");
    let (old, new) = (Receiver::bind([127, 0, 2, 1]), Receiver::bind([127, 0, 2, 2]));
    let mut received = program.report_until_received(&old);
    resolve("moves", &["127.0.2.2"]);
    let began = Instant::now();
    while new.received() == 0 {
        assert!(began.elapsed() < PATIENCE);
        program.report(1, 0);
        received += old.received();
    }
    assert!(received > 1);
    assert_eq!(program.settle().dropped.total(), 0);
    program.ends_well(&new);
}

fn has_no_address_at_first() {
    let mut program = Program::sending_to("later:2000");
    program.report(10, 0);
    let stats = program.settle();
    assert_eq!((stats.dropped.unresolved, stats.dropped.total()), (10, 10));
    resolve("later", &["127.0.3.1"]);
    let receiver = Receiver::bind([127, 0, 3, 1]);
    program.report_until_received(&receiver);
    let stats = program.settle();
    assert_eq!(stats.dropped.unresolved, stats.dropped.total());
    program.ends_well(&receiver);
}

/// The next lookup comes before the documents are given up.
fn gets_its_address_just_in_time() {
    let mut program = Program::sending_to("just-in-time:2000");
    program.report(1, 0);
    let stats = program.settle();
    assert_eq!((stats.dropped.unresolved, stats.dropped.total()), (1, 1));
    // The last lookup has just failed, so the first attempt does.
    program.report(10, 0);
    resolve("just-in-time", &["127.0.5.1"]);
    let receiver = Receiver::bind([127, 0, 5, 1]);
    let after = program.settle();
    assert_eq!((after.emitted, after.dropped), (10, stats.dropped));
    assert_eq!(receiver.received(), 10);
    program.ends_well(&receiver);
}

fn has_a_silent_name_service() {
    let _silent = UdpSocket::bind("127.0.0.1:53").unwrap();
    let mut program = Program::sending_to("silent:2000");
    program.report(300, 20_000);
    assert!(program.recorder.stats().dropped.overflow > 0);
    program.shuts_down_in_time();
}

fn listens_at_one_family(preference: &str, v4_first: bool) {
    fs::write("/etc/gai.conf", preference).unwrap();
    resolve("both", &["::1", "127.0.0.1"]);
    let [first, second] = addresses("both")[..] else { panic!("two addresses") };
    assert_eq!((first.is_ipv4(), second.is_ipv4()), (v4_first, !v4_first));
    let receiver = Receiver::bind(second.ip());
    let mut program = Program::sending_to("both:2000");
    program.report(10, 0);
    let stats = program.settle();
    assert_eq!((stats.emitted, stats.dropped.total()), (10, 0));
    assert_eq!(receiver.received(), 10);
    program.ends_well(&receiver);
    fs::write("/etc/gai.conf", "reload yes\n").unwrap();
}

fn cannot_be_reached() {
    let mut program = Program::sending_to("10.71.0.1:2000");
    program.report(10, 0);
    let stats = program.settle();
    assert_eq!((stats.dropped.io, stats.dropped.total()), (10, 10));
    run("ip addr add 10.71.0.1/32 dev lo");
    let receiver = Receiver::bind([10, 71, 0, 1]);
    program.report_until_received(&receiver);
    let stats = program.settle();
    assert_eq!(stats.dropped.io, stats.dropped.total());
    // And away again, in the middle.
    drop(receiver);
    run("ip addr del 10.71.0.1/32 dev lo");
    program.report(10, 0);
    assert_eq!(program.settle().dropped.io, stats.dropped.io + 10);
    run("ip addr add 10.71.0.1/32 dev lo");
    let receiver = Receiver::bind([10, 71, 0, 1]);
    program.report_until_received(&receiver);
    program.ends_well(&receiver);
}

fn leaves_a_network_that_cannot_be_reached() {
    resolve("leaves", &["10.74.0.1"]);
    let mut program = Program::sending_to("leaves:2000");
    program.report(10, 0);
    let stats = program.settle();
    assert_eq!((stats.dropped.io, stats.dropped.total()), (10, 10));
    resolve("leaves", &["127.0.4.1"]);
    let receiver = Receiver::bind([127, 0, 4, 1]);
    let began = Instant::now();
    program.report_until_received(&receiver);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    program.ends_well(&receiver);
}

fn loses_its_first_address() {
    for subnet in ["10.72.1.1/24", "10.72.2.1/24"] {
        run(&format!("ip addr add {subnet} dev lo"));
    }
    resolve("first", &["10.72.1.1", "10.72.2.1"]);
    let found = addresses("first");
    let mut program = Program::sending_to("first:2000");
    let receiver = Receiver::bind(found[0].ip());
    program.report_until_received(&receiver);
    drop(receiver);
    run(&format!("ip addr del {}/24 dev lo", found[0].ip()));
    let receiver = Receiver::bind(found[1].ip());
    program.report_until_received(&receiver);
    let dropped = program.settle().dropped;
    assert_eq!(dropped.io, dropped.total());
    program.ends_well(&receiver);
}

/// A neighbour that does not say where it is: the kernel keeps what is sent to it, in the socket's buffer.
fn stalls() {
    run("ip link add near type veth peer name far");
    run("ip addr add 10.73.0.1/24 dev near");
    run("ip link set near up");
    run("ip link set far up");
    fs::write("/proc/sys/net/ipv4/neigh/near/unres_qlen_bytes", "100000000").unwrap();
    fs::write("/proc/sys/net/ipv4/neigh/near/retrans_time_ms", "60000").unwrap();
    let mut program = Program::sending_to("10.73.0.2:2000");
    program.report(50, 20_000);
    let stats = program.settle();
    assert!(stats.emitted > 0 && stats.dropped.would_block > 0, "{stats:?}");
    assert_eq!(stats.dropped.would_block, stats.dropped.total());
    let mut other = Program::sending_to("10.73.0.3:2000");
    other.report(100, 20_000);
    other.shuts_down_in_time();
    // It answers.
    run("ip neigh replace 10.73.0.2 lladdr 02:00:00:00:00:01 dev near nud permanent");
    program.report(50, 1_000);
    let after = program.settle();
    assert_eq!((after.emitted, after.dropped), (stats.emitted + 50, stats.dropped));
    program.never_waited();
}

/// In the network of [`stalls`].
fn stalls_for_a_moment() {
    let mut program = Program::sending_to("10.73.0.4:2000");
    program.report(50, 20_000);
    // Longer than a call waits for the socket's buffer.
    assert!(program.recorder.flush(Duration::from_millis(100)).wait() > 0);
    run("ip neigh replace 10.73.0.4 lladdr 02:00:00:00:00:01 dev near nud permanent");
    let stats = program.settle();
    assert_eq!((stats.emitted, stats.dropped.total()), (50, 0));
    program.never_waited();
}
