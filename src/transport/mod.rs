//! What emitters and sampling share when they talk to other processes.
//!
//! In: addresses as users write them, and requests. Out: hosts and ports, and responses. Nothing here knows documents or
//! rules.

mod daemon_address;
#[cfg(feature = "centralized-sampling")]
pub(crate) mod http1;

pub use self::daemon_address::{DaemonAddress, DaemonAddressError, Endpoint};
