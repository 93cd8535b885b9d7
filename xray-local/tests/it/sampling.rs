//! The local daemon's sampling calls: HTTP by hand on its TCP socket.

mod files;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use xray_local::{LocalDaemon, SamplingReport, SamplingRules};

const PATIENCE: Duration = Duration::from_secs(10);
const START: u64 = 1_755_443_400;
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbb";

/// A daemon, the seconds that its clock shows, and one connection to it.
struct Setup {
    daemon: LocalDaemon,
    seconds: Arc<AtomicU64>,
    client: Client,
}

impl Setup {
    fn with(rules: SamplingRules) -> Self {
        let daemon = LocalDaemon::bind("127.0.0.1:0").unwrap();
        let seconds = Arc::new(AtomicU64::new(START));
        let clock = Arc::clone(&seconds);
        daemon.set_clock(move || Duration::from_secs(clock.load(Ordering::Relaxed)));
        daemon.set_sampling_rules(rules);
        let client = Client::connect(daemon.local_addr());
        Self { daemon, seconds, client }
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    fn rules(&mut self) -> Value {
        self.client.call("/GetSamplingRules", "{}").ok()
    }

    fn report<const N: usize>(&mut self, documents: [Value; N]) -> Value {
        let request = json!({ "SamplingStatisticsDocuments": Vec::from(documents) });
        self.client.call("/SamplingTargets", &request.to_string()).ok()
    }

    /// What one client gets of the rule `Orders`.
    fn quota(&mut self, client: &str) -> u64 {
        let answer = self.report([statistics("Orders", client)]);
        answer["SamplingTargetDocuments"][0]["ReservoirQuota"].as_u64().unwrap()
    }
}

struct Client(BufReader<TcpStream>);

#[derive(Debug, Eq, PartialEq)]
struct Answer {
    status: u16,
    kind: Option<String>,
    body: Value,
}

impl Client {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn call(&mut self, path: &str, body: &str) -> Answer {
        let length = body.len();
        self.send(&format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"))
    }

    fn send(&mut self, request: &str) -> Answer {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap();
        let (mut kind, mut length, mut json) = (None, 0, false);
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "x-amzn-errortype" => kind = Some(value.to_owned()),
                "content-length" => length = value.parse().unwrap(),
                "content-type" => json = value == "application/json",
                _ => {}
            }
        }
        assert!(json, "an answer is JSON");
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        Answer { status, kind, body: serde_json::from_slice(&body).unwrap() }
    }
}

impl Answer {
    #[track_caller]
    fn ok(self) -> Value {
        assert_eq!((self.status, self.kind), (200, None), "{}", self.body);
        self.body
    }
}

fn refusal(status: u16, kind: &str, message: &str) -> Answer {
    Answer { status, kind: Some(kind.to_owned()), body: json!({ "message": message }) }
}

fn statistics(rule: &str, client: &str) -> Value {
    json!({
        "RuleName": rule, "ClientID": client, "Timestamp": START,
        "RequestCount": 10, "SampledCount": 3, "BorrowCount": 1,
    })
}

fn record(name: &str, priority: u64, reservoir: u64, rate: f64, path: &str) -> Value {
    json!({
        "SamplingRule": {
            "RuleName": name, "RuleARN": format!("arn:aws:xray:local:000000000000:sampling-rule/{name}"),
            "ResourceARN": "*", "Priority": priority, "FixedRate": rate, "ReservoirSize": reservoir,
            "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": path,
            "Version": 1, "Attributes": {},
        },
        "CreatedAt": START as f64,
        "ModifiedAt": START as f64,
    })
}

fn answered<const N: usize>(records: [Value; N]) -> Value {
    json!({ "SamplingRuleRecords": Vec::from(records), "NextToken": null })
}

fn default_rule() -> Value {
    record("Default", 10_000, 1, 0.05, "*")
}

/// A file with the one rule `Orders`, of this reservoir.
fn orders(reservoir: u64) -> String {
    format!(
        r#"{{"SamplingRuleRecords": [{{"SamplingRule": {{"RuleName": "Orders", "Priority": 100, "FixedRate": 0.1,
        "ReservoirSize": {reservoir}, "URLPath": "/orders/*"}}}}]}}"#
    )
}

fn orders_rules(reservoir: u64) -> SamplingRules {
    SamplingRules::from_json(&orders(reservoir)).unwrap()
}

#[test]
fn without_rules_there_is_the_one_that_x_ray_always_has() {
    let mut setup = Setup::with(SamplingRules::default());
    assert_eq!(setup.rules(), answered([default_rule()]));
}

#[test]
fn one_connection_serves_both_calls_and_survives_refusals() {
    let mut setup = Setup::with(orders_rules(5));
    assert_eq!(setup.rules(), answered([record("Orders", 100, 5, 0.1, "/orders/*"), default_rule()]));
    assert_eq!(setup.client.call("/Nothing", "{}").status, 404);
    assert_eq!(
        setup.report([statistics("Orders", A)]),
        json!({
            "SamplingTargetDocuments": [{
                "RuleName": "Orders", "FixedRate": 0.1, "ReservoirQuota": 5,
                "ReservoirQuotaTTL": (START + 20) as f64, "Interval": 10,
            }],
            "LastRuleModification": START as f64,
            "UnprocessedStatistics": [],
            "UnprocessedBoostStatistics": [],
        })
    );
    assert_eq!(setup.client.call("/SamplingTargets", "[").status, 400);
    assert_eq!(setup.client.call("/GetSamplingRules", "").status, 200);
}

#[test]
fn a_body_in_chunks_is_read_too() {
    let mut setup = Setup::with(SamplingRules::default());
    let request = "POST /GetSamplingRules HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
    assert_eq!(setup.client.send(request).ok(), answered([default_rule()]));
}

#[test]
fn clients_share_a_reservoir_and_the_first_one_gets_the_remainder() {
    let mut setup = Setup::with(orders_rules(5));
    assert_eq!(setup.quota(A), 5);
    assert_eq!(setup.quota(B), 2);
    assert_eq!(setup.quota(A), 3);

    // A falls silent. Its share lasts for as long as it may use it.
    setup.pass(20);
    assert_eq!(setup.quota(B), 2);
    setup.pass(1);
    assert_eq!(setup.quota(B), 5);

    // Who comes back comes last.
    assert_eq!(setup.quota(A), 2);
    assert_eq!(setup.quota(B), 3);
}

#[test]
fn clients_that_report_in_one_call_share_as_well() {
    let mut setup = Setup::with(orders_rules(3));
    let answer = setup.report([statistics("Orders", A), statistics("Orders", B)]);
    let quota = |at: usize| answer["SamplingTargetDocuments"][at]["ReservoirQuota"].clone();
    assert_eq!((quota(0), quota(1)), (json!(2), json!(1)));
}

#[test]
fn an_unknown_rule_is_not_processed_and_the_others_are() {
    let mut setup = Setup::with(SamplingRules::default());
    let answer = setup.report([statistics("Gone", A), statistics("Default", A)]);
    let unknown = json!([{ "RuleName": "Gone", "ErrorCode": "400", "Message": "unknown rule" }]);
    assert_eq!(answer["UnprocessedStatistics"], unknown);
    assert_eq!(answer["SamplingTargetDocuments"].as_array().unwrap().len(), 1);
    assert_eq!(answer["SamplingTargetDocuments"][0]["RuleName"], "Default");
}

#[test]
fn reports_are_summed_up_by_rule_and_outlive_a_change_of_the_rules() {
    let sums = |daemon: &LocalDaemon| -> Vec<(String, usize, [u64; 3])> {
        let sum = |SamplingReport { rule_name, clients, requests, sampled, borrowed, .. }| {
            (rule_name, clients, [requests, sampled, borrowed])
        };
        daemon.sampling_reports().into_iter().map(sum).collect()
    };
    let mut setup = Setup::with(orders_rules(5));
    setup.report([statistics("Orders", A), statistics("Orders", B), statistics("Gone", A)]);
    setup.report([
        json!({ "RuleName": "Orders", "ClientID": A, "Timestamp": 1.5e9, "RequestCount": 1, "SampledCount": 0 }),
    ]);
    let orders = ("Orders".to_owned(), 2, [21, 6, 2]);
    let default = ("Default".to_owned(), 0, [0, 0, 0]);
    assert_eq!(sums(&setup.daemon), [orders.clone(), default.clone()]);

    setup.pass(1);
    setup.daemon.set_sampling_rules(orders_rules(8));
    assert_eq!(sums(&setup.daemon), [orders, default.clone()]);
    assert_eq!(setup.quota(B), 4);
    let answer = setup.report([statistics("Orders", A)]);
    assert_eq!(answer["LastRuleModification"], (START + 1) as f64);

    setup.daemon.set_sampling_rules(SamplingRules::default());
    assert_eq!(sums(&setup.daemon), [default]);
}

#[test]
fn a_wrong_request_is_refused_with_the_reason_and_counts_for_nothing() {
    let mut setup = Setup::with(SamplingRules::default());
    let with = |key: &str, value: Value| {
        let mut wrong = statistics("Default", B);
        wrong[key] = value;
        json!({ "SamplingStatisticsDocuments": [statistics("Default", A), wrong] }).to_string()
    };
    let at = "$.SamplingStatisticsDocuments";
    for (request, message) in [
        ("{".to_owned(), "the request is not JSON: EOF while parsing an object at line 1 column 1".to_owned()),
        ("[]".to_owned(), "the request is not a JSON object".to_owned()),
        ("{}".to_owned(), format!("{at} is missing")),
        (r#"{"SamplingStatisticsDocuments":{}}"#.to_owned(), format!("{at} is not an array")),
        (r#"{"SamplingStatisticsDocuments":[1]}"#.to_owned(), format!("{at}[0] is not an object")),
        (with("RuleName", Value::Null), format!("{at}[1].RuleName is missing")),
        (with("ClientID", json!("b")), format!("{at}[1].ClientID is not 24 hexadecimal digits")),
        (with("Timestamp", json!("now")), format!("{at}[1].Timestamp is not a number")),
        (
            with("RequestCount", json!(-1)),
            format!("{at}[1].RequestCount is not a whole number from 0 to 9223372036854775807"),
        ),
        (
            json!({ "SamplingStatisticsDocuments": vec![statistics("Default", A); 26] }).to_string(),
            format!("{at} has more than 25 documents"),
        ),
    ] {
        let answer = setup.client.call("/SamplingTargets", &request);
        assert_eq!(answer, refusal(400, "InvalidRequestException", &message), "{request}");
    }
    assert_eq!(setup.daemon.sampling_reports()[0].requests, 0);
}

#[test]
fn other_paths_and_methods_are_not_found() {
    let mut setup = Setup::with(SamplingRules::default());
    for line in ["POST /TraceSegments", "POST /", "POST /GetSamplingRules/", "GET /GetSamplingRules"] {
        let answer = setup.client.send(&format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}"));
        let message = "there is only POST /GetSamplingRules and POST /SamplingTargets";
        assert_eq!(answer, refusal(404, "UnknownOperationException", message), "{line}");
    }
}

#[test]
fn a_body_over_one_mebibyte_is_refused_before_it_has_come() {
    let mut setup = Setup::with(SamplingRules::default());
    let head =
        |length: usize| format!("POST /GetSamplingRules HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let most = 1 << 20;
    setup.client.send(&(head(most) + "{" + &" ".repeat(most - 2) + "}")).ok();
    let answer = setup.client.send(&head(most + 1));
    assert_eq!(answer, refusal(413, "InvalidRequestException", "the request has more than 1 MiB"));
    let mut rest = Vec::new();
    assert_eq!(setup.client.0.read_to_end(&mut rest).unwrap(), 0, "there is no next request");
}

#[test]
fn clients_that_leave_make_room_for_others() {
    let mut setup = Setup::with(SamplingRules::default());
    for _ in 0..100 {
        let mut client = Client::connect(setup.daemon.local_addr());
        client.0.get_mut().write_all(b"POST /GetSampl").unwrap();
    }
    let mut client = Client::connect(setup.daemon.local_addr());
    assert_eq!(client.call("/GetSamplingRules", "{}").ok(), setup.rules());
}

#[test]
fn a_drop_ends_connections_and_frees_both_ports() {
    let Setup { daemon, mut client, .. } = Setup::with(SamplingRules::default());
    client.call("/GetSamplingRules", "{}").ok();
    let addr = daemon.local_addr();
    drop(daemon);
    assert_eq!(client.0.read(&mut [0]).unwrap(), 0);
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(LocalDaemon::bind(addr).unwrap().local_addr(), addr);
}

#[tokio::test]
async fn it_can_be_started_and_dropped_within_a_runtime() {
    drop(LocalDaemon::bind("127.0.0.1:0").unwrap());
}

#[test]
fn a_port_that_tcp_has_already_is_in_use() {
    let (listener, addr) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        if UdpSocket::bind(addr).is_ok() {
            break (listener, addr);
        }
    };
    let error = LocalDaemon::bind(addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with("TCP, for sampling calls: "), "{error}");
    drop(listener);
}
