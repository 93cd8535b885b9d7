//! One decision about outcome: error, throttle or fault.
//!
//! In: an HTTP status, a gRPC status, an error of AWS. Out: a [`Class`], for servers, clients, sampling and capture
//! alike.

/// How work has ended, in the terms of X-Ray.
///
/// | HTTP status | gRPC status | AWS error | class |
/// |---|---|---|---|
/// | 429 | 8 | status 429, or one that the AWS SDK retries as throttled | [`Throttle`](Self::Throttle) |
/// | other 4xx | 1, 3, 5, 6, 7, 9, 11, 16 | other 3xx and 4xx | [`Error`](Self::Error) |
/// | 5xx | all others but 0 | 5xx, or none of these | [`Fault`](Self::Fault) |
/// | below 400 | 0 | 304 | [`Ok`](Self::Ok) |
///
/// An `Err` and a panic are faults. An inbound request whose client has left is an error. Work that was abandoned (a
/// call, a query or a future that was dropped before its end) is none of these: its subsegment has the annotation
/// `cancelled` instead.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Class {
    /// It has succeeded.
    #[default]
    Ok,
    /// The caller has made a mistake: the flag `error`.
    Error,
    /// The caller has come too often: the flags `error` and `throttle`.
    Throttle,
    /// The callee has failed: the flag `fault`.
    Fault,
}

impl Class {
    /// The class of an HTTP status.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Throttle,
            400..500 => Self::Error,
            500..600 => Self::Fault,
            _ => Self::Ok,
        }
    }

    /// The class of a gRPC status code; a code that gRPC does not define is a fault.
    #[must_use]
    pub const fn of_grpc(code: u32) -> Self {
        match code {
            0 => Self::Ok,
            8 => Self::Throttle,
            // Cancelled, and mistakes of the caller.
            1 | 3 | 5 | 6 | 7 | 9 | 11 | 16 => Self::Error,
            _ => Self::Fault,
        }
    }

    /// The class of an error that an AWS service has answered with.
    ///
    /// `throttled` says that the error is one of those that the AWS SDK retries as throttled, whatever its status.
    #[must_use]
    pub const fn of_aws(status: Option<u16>, throttled: bool) -> Self {
        match status {
            // The caller has asked for changes, and there are none.
            Some(304) => Self::Ok,
            Some(429) => Self::Throttle,
            _ if throttled => Self::Throttle,
            Some(300..500) => Self::Error,
            _ => Self::Fault,
        }
    }
}

/// The flags of a segment or subsegment: what its classes so far add up to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Flags {
    pub(crate) error: bool,
    pub(crate) throttle: bool,
    pub(crate) fault: bool,
}

impl Flags {
    pub(crate) const fn add(&mut self, class: Class) {
        match class {
            Class::Ok => {}
            Class::Error => self.error = true,
            Class::Throttle => (self.error, self.throttle) = (true, true),
            Class::Fault => self.fault = true,
        }
    }
}
