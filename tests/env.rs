//! The only test that reads the environment of a process: it starts itself again with other variables.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test talks to a person, and may fail")]

use std::{env, net::UdpSocket, process::Command, time::Duration};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{Recorder, XRayLayer};

const NAMES: [&str; 5] = [
    "AWS_XRAY_DAEMON_ADDRESS",
    "AWS_XRAY_TRACING_NAME",
    "AWS_XRAY_SDK_DISABLED",
    "AWS_XRAY_SDK_ENABLED",
    "AWS_XRAY_CONTEXT_MISSING",
];

fn main() {
    if env::args().any(|argument| argument == "--child") {
        return child();
    }
    the_daemon_address_and_the_name_come_from_the_environment();
    a_disabled_recorder_sends_nothing();
    a_bad_variable_is_an_error_that_says_what_to_write();
    println!("3 passed, 0 failed");
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

fn run_child(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("--child");
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
