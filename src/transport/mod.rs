//! What emitters, sampling and plugins share when they talk to other processes.
//!
//! In: addresses as users write them. Out: hosts and ports. Nothing here knows documents or rules.

mod daemon_address;
#[cfg(feature = "centralized-sampling")]
pub(crate) mod http1;

pub use self::daemon_address::{DaemonAddress, DaemonAddressError, Endpoint};
