//! The only test that reads the environment of a process: it starts itself again with other variables.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test talks to a person, and may fail")]

use std::{
    convert::Infallible,
    env, io,
    net::UdpSocket,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{Recorder, XRayClientLayer, XRayLayer, context::ContextMissing, emitter::InMemoryEmitter};
use tracing::{Level, subscriber::with_default};

const NAMES: [&str; 5] = [
    "AWS_XRAY_DAEMON_ADDRESS",
    "AWS_XRAY_TRACING_NAME",
    "AWS_XRAY_SDK_DISABLED",
    "AWS_XRAY_SDK_ENABLED",
    "AWS_XRAY_CONTEXT_MISSING",
];

fn main() {
    match env::args().nth(1).as_deref() {
        Some("--child") => return child(),
        Some("--untraced") => return untraced(),
        _ => {}
    }
    the_daemon_address_and_the_name_come_from_the_environment();
    a_disabled_recorder_sends_nothing();
    a_bad_variable_is_an_error_that_says_what_to_write();
    what_is_logged_of_a_missing_context_comes_from_the_environment_of_the_recorder();
    println!("4 passed, 0 failed");
}

/// Serves one sampled request and says how it went.
fn child() {
    let recorder = match Recorder::from_env() {
        Ok(recorder) => recorder,
        Err(error) => {
            println!("{error}");
            return;
        }
    };
    let service = XRayLayer::new("orders", recorder.clone())
        .layer(service_fn(async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::new()))));
    let request = Request::get("/").header("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(service.oneshot(request.body(()).unwrap())).unwrap();
    let left = recorder.shutdown(Duration::from_secs(10)).wait();
    println!("{} emitted, {left} left", recorder.stats().emitted);
}

/// Makes calls outside of any trace, beside recorders with environments of their own, and prints what is logged.
fn untraced() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(Level::DEBUG).without_time().with_ansi(false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let client = XRayClientLayer::new().context_missing(ContextMissing::IgnoreError);
    let client = client.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()))));
    let call = || drop(runtime.block_on(client.clone().oneshot(Request::new(()))).unwrap());
    with_default(subscriber.with_writer(move || writer.clone()).finish(), || {
        for of_recorder in [None, Some(None), Some(Some("LOG_ERROR")), Some(Some("IGNORE_ERROR"))] {
            if let Some(value) = of_recorder {
                let environment = move |name: &str| value.filter(|_| name == "AWS_XRAY_CONTEXT_MISSING");
                let recorder = Recorder::builder().environment(move |name| environment(name).map(str::to_owned));
                drop(recorder.emitter(InMemoryEmitter::new()).build().unwrap());
            }
            call();
            call();
            let logged = std::mem::take(&mut *log.0.lock().unwrap());
            let logged = String::from_utf8(logged).unwrap();
            let levels: Vec<&str> = logged.lines().filter_map(|line| line.split_whitespace().next()).collect();
            println!("{of_recorder:?}: {levels:?}");
        }
    });
}

fn what_is_logged_of_a_missing_context_comes_from_the_environment_of_the_recorder() {
    for (of_process, before) in [(None, "[]"), (Some("LOG_ERROR"), r#"["ERROR"]"#)] {
        let variables: Vec<_> = of_process.map(|value| ("AWS_XRAY_CONTEXT_MISSING", value)).into_iter().collect();
        let logged = run("--untraced", &variables);
        // An error is logged once, and by this client it has been where the process has said so.
        let by_recorder = if of_process.is_some() { "[]" } else { r#"["ERROR"]"# };
        let expected = format!(
            "None: {before}\nSome(None): []\nSome(Some(\"LOG_ERROR\")): {by_recorder}\nSome(Some(\"IGNORE_ERROR\")): []\n"
        );
        assert_eq!(logged, expected, "{of_process:?}");
    }
}

fn run_child(variables: &[(&str, &str)]) -> String {
    run("--child", variables)
}

fn run(argument: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(argument);
    for name in NAMES {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn the_daemon_address_and_the_name_come_from_the_environment() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = daemon.local_addr().unwrap().to_string();
    let said = run_child(&[("AWS_XRAY_DAEMON_ADDRESS", &address), ("AWS_XRAY_TRACING_NAME", "blue")]);
    assert_eq!(said, "1 emitted, 0 left\n");
    let mut datagram = [0; 65_536];
    let len = daemon.recv(&mut datagram).unwrap();
    let datagram = std::str::from_utf8(&datagram[..len]).unwrap();
    assert!(datagram.starts_with("{\"format\":\"json\",\"version\":1}\n{"), "{datagram}");
    assert!(datagram.contains(r#""name":"blue","#), "{datagram}");
}

fn a_disabled_recorder_sends_nothing() {
    for variable in [("AWS_XRAY_SDK_DISABLED", "true"), ("AWS_XRAY_SDK_ENABLED", "false")] {
        assert_eq!(run_child(&[variable]), "0 emitted, 0 left\n");
    }
}

fn a_bad_variable_is_an_error_that_says_what_to_write() {
    let said = run_child(&[("AWS_XRAY_DAEMON_ADDRESS", "localhost")]);
    assert!(said.starts_with("AWS_XRAY_DAEMON_ADDRESS: ") && said.contains("write `127.0.0.1:2000`"), "{said}");
    let said = run_child(&[("AWS_XRAY_TRACING_NAME", "???")]);
    assert!(said.starts_with("AWS_XRAY_TRACING_NAME: ") && said.contains("write at least one letter"), "{said}");
}
