//! Where the daemon listens: every form of `AWS_XRAY_DAEMON_ADDRESS`, and what is said about every other text.

use proptest::prelude::*;
use tower_xray::emitter::DaemonAddress;

/// Where documents go, and where rules come from.
fn understood(text: &str) -> (String, String) {
    let address: DaemonAddress = text.parse().unwrap_or_else(|error| panic!("{error}"));
    (address.udp().to_string(), address.tcp().to_string())
}

#[test]
fn one_address_stands_for_both() {
    for text in [
        "127.0.0.1:2000",
        "192.168.0.1:3000",
        "localhost:2000",
        "XYZ:2000",
        "xray-daemon.internal:65535",
        "xray_daemon.kube-system.svc.cluster.local.:1",
        "[::1]:2000",
        "[2001:db8::7]:2000",
    ] {
        assert_eq!(understood(text), (text.to_owned(), text.to_owned()));
    }
}

#[test]
fn two_addresses_are_told_apart_in_any_order_case_and_spacing() {
    for (text, udp, tcp) in [
        ("tcp:127.0.0.1:5000 udp:127.0.0.1:4000", "127.0.0.1:4000", "127.0.0.1:5000"),
        ("udp:127.0.0.1:4000 tcp:127.0.0.1:5000", "127.0.0.1:4000", "127.0.0.1:5000"),
        ("tcp:localhost:2000 udp:localhost:2000", "localhost:2000", "localhost:2000"),
        ("udp:127.0.0.2:2001 tcp:127.0.a.1:2000", "127.0.0.2:2001", "127.0.a.1:2000"),
        ("tcp:ABC:2000 udp:XYZ:2000", "XYZ:2000", "ABC:2000"),
        ("tcp:[::1]:2001 udp:[fe80::1]:2000", "[fe80::1]:2000", "[::1]:2001"),
        ("UDP:a:1\t Tcp:b:2\n", "a:1", "b:2"),
        ("  127.0.0.1:2000 ", "127.0.0.1:2000", "127.0.0.1:2000"),
    ] {
        assert_eq!(understood(text), (udp.to_owned(), tcp.to_owned()), "{text:?}");
    }
}

#[test]
fn an_ipv6_address_has_one_form_without_brackets_as_a_host_and_with_them_as_text() {
    let address: DaemonAddress = "[2001:DB8:0:0::7]:2000".parse().unwrap();
    assert_eq!((address.udp().host(), address.udp().port()), ("2001:db8::7", 2000));
    assert_eq!(address.to_string(), "[2001:db8::7]:2000");
    assert_eq!(address, "tcp:[2001:db8::0007]:2000 udp:[2001:db8::7]:2000".parse().unwrap());
}

#[test]
fn a_host_that_is_called_like_a_kind_of_address_is_written_so_that_it_is_understood_again() {
    for text in ["tcp:tcp:40 udp:tcp:40", "tcp:UDP:40 udp:UDP:40"] {
        let address: DaemonAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
    }
}

#[test]
fn the_default_is_the_local_host() {
    assert_eq!(DaemonAddress::default(), "127.0.0.1:2000".parse().unwrap());
    assert_eq!(DaemonAddress::default().to_string(), "127.0.0.1:2000");
}

#[test]
fn what_is_no_address_is_told_what_is_wrong_and_what_to_write_instead() {
    for (text, wrong) in [
        ("", "is empty"),
        (" \t", "is empty"),
        ("192.168.0.1", "has no port"),
        ("8000", "has no port"),
        ("[::1]", "has no port"),
        ("localhost:", "has no valid port"),
        ("localhost:2a", "has no valid port"),
        ("localhost:+80", "has no valid port"),
        ("localhost:-1", "has no valid port"),
        ("localhost:0", "has no valid port"),
        ("localhost:65536", "has no valid port"),
        (":8000", "has no valid host"),
        ("a/b:2000", "has no valid host"),
        ("http://127.0.0.1:2000", "has no valid host"),
        ("127.0.0.1:2000:3000", "has no valid host"),
        ("b\u{fc}cher:2000", "has no valid host"),
        ("::1", "has an IPv6 address without brackets"),
        ("::1:2000", "has an IPv6 address without brackets"),
        ("2001:db8::7", "has an IPv6 address without brackets"),
        ("fe80::1:2:3:4:2000", "has an IPv6 address without brackets"),
        ("[127.0.0.1]:2000", "has no IPv6 address between its brackets"),
        ("[]:2000", "has no IPv6 address between its brackets"),
        ("[::1:2000", "has no valid host"),
        ("udp:127.0.0.2:2001", "names only one of tcp and udp"),
        ("tcp:127.0.0.2:2001", "names only one of tcp and udp"),
        ("tcp:0.0.0.1:2udp:0.0.0.2:3", "names only one of tcp and udp"),
        ("udp:a:1 udp:b:2", "needs one tcp and one udp address if there are two"),
        ("tcp:a:1 tcp:b:2", "needs one tcp and one udp address if there are two"),
        ("tcp:localhost:r4 tcp:localhost:2000", "needs one tcp and one udp address if there are two"),
        ("127.0.0.2:8080 192.168.0.1:3000", "needs one tcp and one udp address if there are two"),
        ("tcp:127.0.0.2:8080 192.168.0.1:3000", "needs one tcp and one udp address if there are two"),
        ("tcp0.0.0.1:2 udp0.0.0.2:3", "needs one tcp and one udp address if there are two"),
        ("udp:1.2.1:2a tcp:127.0.0.1:2000", "has no valid port"),
        ("udp:127.0.0.1:2000 tcp:127.0.0.1", "has no port"),
        ("Not an address", "has more than two parts"),
        ("tcp:a:1 udp:b:2 udp:c:3", "has more than two parts"),
    ] {
        let error = text.parse::<DaemonAddress>().expect_err(text).to_string();
        let advice =
            "write `127.0.0.1:2000`, `xray.internal:2000`, `[::1]:2000`, or `tcp:127.0.0.1:2000 udp:127.0.0.1:2000`";
        assert_eq!(error, format!("daemon address {text:?} {wrong}: {advice}"));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), near in "((tcp|udp|\\[|\\]|::1|a|:|2000) ?){0,8}") {
        let _ = (text.parse::<DaemonAddress>(), near.parse::<DaemonAddress>());
    }

    #[test]
    fn an_address_that_is_written_is_read_as_the_same(
        udp in "([a-z0-9._-]{1,20}|\\[::[0-9a-fA-F]{1,4}\\]):[1-9][0-9]{0,3}",
        tcp in "([a-z0-9._-]{1,20}|\\[::[0-9a-fA-F]{1,4}\\]):[1-9][0-9]{0,3}",
    ) {
        for text in [format!("tcp:{tcp} udp:{udp}"), udp] {
            let address: DaemonAddress = text.parse().unwrap();
            prop_assert_eq!(&address.to_string().parse(), &Ok(address));
        }
    }
}
