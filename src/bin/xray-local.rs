//! In: the datagrams of any X-Ray SDK. Out: their traces on the terminal, as trees or as JSON lines.

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tower_xray::local::{LocalDaemon, Problem, RenderOptions, Severity};

/// Distinct warnings to remember, each said once.
const MOST_WARNINGS: usize = 1_000;

/// Shows the traces that X-Ray SDKs send to this machine. Nothing is sent to AWS.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Address to listen on (UDP)
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
    // Without a reader of stderr there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "listening on {} (UDP); Ctrl-C ends it", daemon.local_addr());
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
