//! The head of a response, for servers and clients alike.
//!
//! In: headers or trailers. Out: the length that they announce, and the gRPC status if they have one.

use std::str::FromStr;

use http::{HeaderMap, HeaderValue};

use crate::grpc;

/// What the head of a response announces, or its trailers.
pub(crate) struct ResponseHead<'a> {
    /// How long the body will be.
    pub(crate) content_length: Option<u64>,
    pub(crate) grpc: Option<grpc::Status<'a>>,
}

impl<'a> ResponseHead<'a> {
    /// The first line of each name counts. One pass over few lines takes less than a look-up for every name.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        fn number<T: FromStr>(value: &HeaderValue) -> Option<T> {
            value.to_str().ok()?.parse().ok()
        }

        let (mut content_length, mut grpc_status, mut grpc_message) = (None, None, None);
        for (name, value) in headers {
            match name.as_str() {
                "content-length" => content_length = content_length.or(Some(value)),
                "grpc-status" => grpc_status = grpc_status.or(Some(value)),
                "grpc-message" => grpc_message = grpc_message.or(Some(value)),
                _ => {}
            }
        }
        let grpc = grpc_status.and_then(number).map(|code| grpc::Status::new(code, grpc_message));
        Self { content_length: content_length.and_then(number), grpc }
    }
}
