//! The variables of the X-Ray SDKs, looked up in a test instead of in the process.

use std::{convert::Infallible, io, net::UdpSocket, time::Duration};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{Recorder, XRayLayer, emitter::InMemoryEmitter, sampling::SampleAll};

use crate::support::recorder_with;

/// The lookup of an environment that has these variables.
fn variables<const N: usize>(
    variables: [(&'static str, String); N],
) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static {
    move |name| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.clone())
}

/// Why there is no recorder in an environment with this variable.
fn refused(variable: &'static str, value: &str) -> String {
    let environment = variables([(variable, value.to_owned())]);
    let error = Recorder::builder().environment(environment).emitter(InMemoryEmitter::new()).build().unwrap_err();
    error.to_string()
}

/// What a socket has received by now.
fn received(socket: &UdpSocket) -> Option<String> {
    socket.set_nonblocking(true).unwrap();
    let mut datagram = vec![0; 65_536];
    match socket.recv(&mut datagram) {
        Ok(len) => Some(String::from_utf8(datagram[..len].to_vec()).unwrap()),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            None
        }
    }
}

#[test]
fn the_daemon_address_of_the_environment_goes_before_that_of_the_code() {
    let [environment, code] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = |socket: &UdpSocket| socket.local_addr().unwrap().to_string();
    let send = |value: String| {
        let recorder = Recorder::builder()
            .environment(variables([("AWS_XRAY_DAEMON_ADDRESS", value)]))
            .daemon_address(address(&code).parse().unwrap())
            .sampling(SampleAll)
            .build()
            .unwrap();
        recorder.begin_segment("worker").close();
        assert_eq!(recorder.shutdown(Duration::from_secs(10)).wait(), 0);
        [&environment, &code].map(|socket| received(socket).is_some())
    };
    assert_eq!(send(address(&environment)), [true, false]);
    assert_eq!(send(format!(" tcp:127.0.0.1:1 udp:{} \n", address(&environment))), [true, false]);
    assert_eq!(send(String::new()), [false, true]);
    assert_eq!(send(" ".to_owned()), [false, true]);
}

#[test]
fn a_daemon_address_that_is_none_is_an_error_that_says_what_to_write() {
    assert_eq!(
        refused("AWS_XRAY_DAEMON_ADDRESS", "xray"),
        "AWS_XRAY_DAEMON_ADDRESS: daemon address \"xray\" has no port: write `127.0.0.1:2000`, \
         `xray.internal:2000`, `[::1]:2000`, or `tcp:127.0.0.1:2000 udp:127.0.0.1:2000`",
    );
}

/// The name of the segment of one request, by this value of `AWS_XRAY_TRACING_NAME`.
async fn named(value: &str) -> String {
    let value = value.to_owned();
    let (recorder, documents) = recorder_with(|b| b.environment(variables([("AWS_XRAY_TRACING_NAME", value)])));
    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    XRayLayer::new("orders", recorder).layer(handler).oneshot(Request::new(())).await.unwrap();
    documents.take_one().name().to_owned()
}

#[tokio::test]
async fn the_tracing_name_replaces_the_name_of_the_layer() {
    for (value, expected) in [
        ("shop", "shop"),
        ("shop?api", "shop_api"),
        // As a file that ends in a line break leaves it.
        (" shop \n", "shop"),
        ("", "orders"),
        ("\t ", "orders"),
    ] {
        assert_eq!(named(value).await, expected, "{value:?}");
    }
}

#[test]
fn a_tracing_name_of_which_nothing_is_left_is_an_error_that_says_what_to_write() {
    assert_eq!(
        refused("AWS_XRAY_TRACING_NAME", "***"),
        "AWS_XRAY_TRACING_NAME: \"***\" is not a name for X-Ray: write at least one letter or number \
         (allowed: letters, numbers, spaces and _.:/%&#=+-@)",
    );
}

#[test]
fn the_tracing_name_is_for_requests_and_not_for_segments_that_the_program_names() {
    let (recorder, documents) =
        recorder_with(|b| b.environment(variables([("AWS_XRAY_TRACING_NAME", "shop".to_owned())])));
    recorder.begin_segment("nightly-report").close();
    assert_eq!(documents.take_one().name(), "nightly-report");
}

#[test]
fn a_recorder_is_disabled_by_the_switches_of_go_python_and_java_and_by_nothing_else() {
    let recorded = |environment: [(&'static str, &str); 2]| {
        let environment = environment.map(|(name, value)| (name, value.to_owned()));
        let (recorder, documents) = recorder_with(|builder| builder.environment(variables(environment)));
        recorder.begin_segment("worker").close();
        documents.take().len() == 1
    };
    let (disabled, enabled) = ("AWS_XRAY_SDK_DISABLED", "AWS_XRAY_SDK_ENABLED");
    for off in ["true", "TRUE", "True", " true ", "t", "1", "yes", "y", "on"] {
        assert!(!recorded([(disabled, off), (enabled, "")]), "{disabled}={off:?}");
        assert!(!recorded([(disabled, off), (enabled, "true")]), "{disabled}={off:?} {enabled}=true");
        assert!(recorded([(enabled, off), ("", "")]), "{enabled}={off:?}");
    }
    for off in ["false", "FALSE", "False", " false ", "f", "0", "no", "n", "off"] {
        assert!(!recorded([(enabled, off), (disabled, "")]), "{enabled}={off:?}");
        assert!(!recorded([(enabled, off), (disabled, "false")]), "{enabled}={off:?} {disabled}=false");
        assert!(recorded([(disabled, off), ("", "")]), "{disabled}={off:?}");
    }
    for neither in ["", " ", "maybe", "disabled", "2", "falsee"] {
        assert!(recorded([(enabled, neither), (disabled, neither)]), "{neither:?}");
    }
}

#[test]
fn a_disabled_recorder_sends_nothing_to_the_daemon() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    let environment = [
        ("AWS_XRAY_DAEMON_ADDRESS", daemon.local_addr().unwrap().to_string()),
        ("AWS_XRAY_SDK_ENABLED", "false".to_owned()),
    ];
    let recorder = Recorder::builder().environment(variables(environment)).sampling(SampleAll).build().unwrap();
    recorder.begin_segment("worker").close();
    assert_eq!(recorder.shutdown(Duration::from_secs(10)).wait(), 0);
    assert_eq!(received(&daemon), None);
}
