//! Addresses of the daemon never panic, and what is understood is written so that it is understood again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_xray::emitter::{DaemonAddress, Endpoint};

fuzz_target!(|text: &str| {
    match text.parse::<DaemonAddress>() {
        Ok(address) => {
            assert_eq!(address.to_string().parse().as_ref(), Ok(&address), "{address}");
            check(address.udp());
            check(address.tcp());
        }
        Err(error) => assert!(error.to_string().contains("write `127.0.0.1:2000`"), "{error}"),
    }
});

fn check(endpoint: &Endpoint) {
    assert_ne!(endpoint.port(), 0);
    assert!(!endpoint.host().is_empty());
    let both: DaemonAddress = format!("tcp:{endpoint} udp:{endpoint}").parse().expect("an endpoint is an address");
    assert_eq!((both.udp(), both.tcp()), (endpoint, endpoint));
    assert_eq!(both.to_string().parse().as_ref(), Ok(&both), "{both}");
    if endpoint.host().contains(':') {
        let address: std::net::SocketAddr = endpoint.to_string().parse().expect("an IPv6 address");
        assert_eq!((address.ip().to_string(), address.port()), (endpoint.host().to_owned(), endpoint.port()));
    }
}
