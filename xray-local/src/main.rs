//! In: the datagrams of any X-Ray SDK, and its sampling calls. Out: traces on the terminal, as trees or as JSON lines.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use xray_local::{LocalDaemon, Problem, RenderOptions, SamplingReport, Severity};

/// Distinct warnings to remember, each said once.
const MOST_WARNINGS: usize = 1_000;

/// How long to say no more about a sampling rule.
const REPORT_PAUSE: Duration = Duration::from_secs(60);

/// Shows the traces that X-Ray SDKs send to this machine. Nothing is sent to AWS.
///
/// SDKs with central sampling ask for their rules here, by TCP at the same port, and report once in ten seconds what
/// they have sampled.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Address to listen on (UDP for traces, TCP for sampling); other than loopback, it is open to the network
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2000")]
    bind: String,

    /// Columns that a trace may take
    #[arg(long, default_value_t = 100)]
    width: usize,

    /// Milliseconds without news after which a trace is shown
    #[arg(long, value_name = "MS", default_value_t = 500)]
    quiet_ms: u64,

    /// Print each document as one line of JSON, as it arrives
    #[arg(long)]
    json: bool,

    /// Sampling rules to hand out, as JSON; read again when the file changes
    ///
    /// Either what `aws xray get-sampling-rules` prints, or the local rules of an SDK, with version, rules and default.
    /// What was reported about a rule is said at most once a minute.
    /// Without a file there is one rule: one request per second, and 5 % of the others.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let daemon = match LocalDaemon::bind(args.bind.as_str()) {
        Ok(daemon) => daemon,
        Err(error) => {
            complain(&args.bind, &error);
            return ExitCode::FAILURE;
        }
    };
    if daemon.is_exposed() {
        let _ = writeln!(
            anstream::stderr(),
            "warning: {} is no loopback address: whoever reaches it can send traces and read the sampling rules",
            daemon.local_addr()
        );
    }
    if let Some(path) = &args.rules {
        if let Err(problem) = daemon.set_sampling_rules_file(path) {
            let _ = writeln!(anstream::stderr(), "xray-local: cannot sample by these rules: {problem}");
            return ExitCode::FAILURE;
        }
    }
    // Without a reader of stderr there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "listening on {} (UDP, TCP); Ctrl-C ends it", daemon.local_addr());
    match watch(&daemon, &args) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "xray-local: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

fn watch(daemon: &LocalDaemon, args: &Args) -> io::Result<()> {
    let quiet = Duration::from_millis(if args.json { 0 } else { args.quiet_ms });
    let pause = (quiet / 4).clamp(Duration::from_millis(20), Duration::from_millis(100));
    let options = RenderOptions::default().width(args.width);
    let mut said = HashSet::new();
    let mut evicted = 0;
    let mut sampling = Reports::default();
    loop {
        for problem in daemon.take_problems() {
            if is_news(&problem, &mut said) {
                let _ = writeln!(anstream::stderr(), "{problem}");
            }
        }
        let gone = daemon.stats().evicted_traces;
        if gone > evicted {
            let _ = writeln!(anstream::stderr(), "{} traces came too fast to be shown", gone - evicted);
            evicted = gone;
        }
        for line in sampling.news(daemon.sampling_reports(), Instant::now()) {
            let _ = writeln!(anstream::stderr(), "{line}");
        }
        let mut stdout = anstream::stdout().lock();
        for trace in daemon.take_settled(quiet) {
            if args.json {
                stdout.write_all(trace.to_json_lines().as_bytes())?;
            } else {
                writeln!(stdout, "{}", trace.render(&options))?;
            }
        }
        stdout.flush()?;
        drop(stdout);
        // A trace settles by what does not come, so there is no count to wait for.
        let _ = daemon.wait_until(pause, |_| false);
    }
}

/// What was said about sampling rules, and when.
#[derive(Debug, Default)]
struct Reports(HashMap<String, (SamplingReport, Instant)>);

impl Reports {
    /// A line for each rule of which there is news, and was none lately.
    fn news(&mut self, reports: Vec<SamplingReport>, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for report in reports {
            let (mut requests, mut sampled, mut borrowed) = (report.requests, report.sampled, report.borrowed);
            if let Some((said, at)) = self.0.get(&report.rule_name) {
                if now.saturating_duration_since(*at) < REPORT_PAUSE {
                    continue;
                }
                // A rule that was taken away and given again counts from zero.
                requests = requests.checked_sub(said.requests).unwrap_or(requests);
                sampled = sampled.checked_sub(said.sampled).unwrap_or(sampled);
                borrowed = borrowed.checked_sub(said.borrowed).unwrap_or(borrowed);
            }
            if requests > 0 {
                let SamplingReport { rule_name, clients, .. } = &report;
                lines.push(format!(
                    "sampling rule {rule_name:?}: {sampled} of {requests} sampled, {borrowed} borrowed; clients: {clients}"
                ));
                self.0.insert(rule_name.clone(), (report, now));
            }
        }
        lines
    }
}

/// A refusal always is; a warning only the first time, since an SDK repeats its habits.
fn is_news(problem: &Problem, said: &mut HashSet<String>) -> bool {
    if problem.severity() == Severity::Rejected {
        return true;
    }
    said.len() < MOST_WARNINGS && said.insert(problem.message().to_owned())
}

fn complain(bind: &str, error: &io::Error) {
    let mut stderr = anstream::stderr();
    let _ = writeln!(stderr, "xray-local: cannot listen on {bind}: {error}");
    if error.kind() == io::ErrorKind::AddrInUse {
        let _ = writeln!(
            stderr,
            "Another X-Ray daemon or collector probably serves this port already. Stop it, or choose another\n\
             port with --bind 127.0.0.1:2001 and tell the traced programs: AWS_XRAY_DAEMON_ADDRESS=127.0.0.1:2001"
        );
    }
}
