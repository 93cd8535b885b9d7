//! Where the daemon listens, in every form that `AWS_XRAY_DAEMON_ADDRESS` has.
//!
//! In: text. Out: a host and a port for UDP, and for TCP, that cannot be wrong; or an error that says what to write.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// The addresses of the daemon: UDP for documents, TCP for central sampling rules.
///
/// `host:port` stands for both; `tcp:host:port udp:host:port`, in either order, tells them apart. A host is a name, an
/// IPv4 address, or an IPv6 address in brackets. Names are looked up when they are used, and again from time to time.
///
/// ```
/// use tower_xray::emitter::DaemonAddress;
///
/// let address: DaemonAddress = "tcp:[::1]:2001 udp:xray.internal:2000".parse()?;
/// assert_eq!(address.udp().to_string(), "xray.internal:2000");
/// assert_eq!(address.tcp().to_string(), "[::1]:2001");
/// # Ok::<(), tower_xray::emitter::DaemonAddressError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DaemonAddress {
    udp: Endpoint,
    tcp: Endpoint,
}

impl DaemonAddress {
    /// Where documents go.
    #[must_use]
    pub fn udp(&self) -> &Endpoint {
        &self.udp
    }

    /// Where central sampling rules come from.
    #[must_use]
    pub fn tcp(&self) -> &Endpoint {
        &self.tcp
    }
}

impl Default for DaemonAddress {
    /// `127.0.0.1:2000`, the default of every X-Ray SDK.
    fn default() -> Self {
        let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: 2000 };
        Self { udp: endpoint.clone(), tcp: endpoint }
    }
}

impl fmt::Display for DaemonAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A host may be called like one of the two, and would be read as that if it stood alone.
        let is_kind = ["tcp", "udp"].iter().any(|kind| self.udp.host.eq_ignore_ascii_case(kind));
        if self.udp == self.tcp && !is_kind { self.udp.fmt(f) } else { write!(f, "tcp:{} udp:{}", self.tcp, self.udp) }
    }
}

impl FromStr for DaemonAddress {
    type Err = DaemonAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |wrong| DaemonAddressError { address: text.to_owned(), wrong };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let typed = |part: &str, wanted: &str| {
            part.split_once(':').filter(|(kind, _)| kind.eq_ignore_ascii_case(wanted)).map(|(_, rest)| rest.to_owned())
        };
        match parts[..] {
            [] => Err(error("is empty")),
            [one] if typed(one, "udp").is_some() || typed(one, "tcp").is_some() => {
                Err(error("names only one of tcp and udp"))
            }
            [one] => {
                let endpoint = Endpoint::parse(one).map_err(error)?;
                Ok(Self { udp: endpoint.clone(), tcp: endpoint })
            }
            [first, second] => {
                let udp = typed(first, "udp").or_else(|| typed(second, "udp"));
                let tcp = typed(first, "tcp").or_else(|| typed(second, "tcp"));
                let (Some(udp), Some(tcp)) = (udp, tcp) else {
                    return Err(error("needs one tcp and one udp address if there are two"));
                };
                Ok(Self { udp: Endpoint::parse(&udp).map_err(error)?, tcp: Endpoint::parse(&tcp).map_err(error)? })
            }
            _ => Err(error("has more than two parts")),
        }
    }
}

/// A host and a port.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// The host: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let is_ipv6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
        let (host, port) = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).ok_or("has no port")?;
        let legible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            // In its shortest form, so that one address has one text.
            Some(inner) => {
                inner.parse::<Ipv6Addr>().map_err(|_| "has no IPv6 address between its brackets")?.to_string()
            }
            None if is_ipv6(host) || is_ipv6(text) => return Err("has an IPv6 address without brackets"),
            None if host.is_empty() || !host.chars().all(legible) => return Err("has no valid host"),
            None => host.to_owned(),
        };
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse() {
            Ok(port) if digits && port > 0 => Ok(Self { host, port }),
            _ => Err("has no valid port"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A daemon address that cannot be parsed. The message says what is wrong, and what to write instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DaemonAddressError {
    address: String,
    wrong: &'static str,
}

impl fmt::Display for DaemonAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, wrong } = self;
        write!(
            f,
            "daemon address {address:?} {wrong}: write `127.0.0.1:2000`, `xray.internal:2000`, `[::1]:2000`, \
             or `tcp:127.0.0.1:2000 udp:127.0.0.1:2000`"
        )
    }
}

impl std::error::Error for DaemonAddressError {}
