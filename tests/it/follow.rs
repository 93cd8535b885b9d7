//! Calls that follow the body of their response, and what becomes of them where that does not end by itself.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower_xray::{
    Entity,
    call::{Call, CallBuilder, ResponseBody},
};

use crate::support::recorder;

/// A body of these frames, and whether it is pending or ends after them.
struct Frames(Vec<Result<Frame<Bytes>, io::Error>>, bool);

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.0.pop() {
            None if self.1 => Poll::Pending,
            next => Poll::Ready(next),
        }
    }
}

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// What a call tells that `work` makes.
fn told(work: impl FnOnce(&Entity)) -> Value {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    work(&segment);
    segment.close();
    let document: Value = serde_json::from_str(&documents.take_one().to_json()).unwrap();
    document["subsegments"][0].clone()
}

fn get(headers: &HeaderMap) -> CallBuilder<'_> {
    static URI: std::sync::LazyLock<http::Uri> = std::sync::LazyLock::new(|| "http://pricing/quote".parse().unwrap());
    Call::http(&Method::GET, &URI, headers)
}

fn announced(length: &'static str, body: Frames) -> Response<Frames> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static(length));
    response
}

fn poll(body: &mut Response<ResponseBody<Frames>>) {
    let _ = Pin::new(body.body_mut()).poll_frame(&mut Context::from_waker(Waker::noop()));
}

#[tokio::test]
async fn errors_of_a_body_are_the_callees_unless_the_call_is_local_work() {
    let headers = HeaderMap::new();
    let call = |local: bool, made_local: bool| {
        let headers = &headers;
        async move {
            let (recorder, documents) = recorder();
            let segment = recorder.begin_segment("orders");
            let call = if local { get(headers).local() } else { get(headers) }.begin_in(&segment);
            let call = if made_local { call.make_local() } else { call };
            let body = Frames(vec![Err(io::Error::other("it breaks off"))], false);
            call.follow(Response::new(body)).into_body().collect().await.unwrap_err();
            segment.close();
            let document = documents.take_one();
            let call = document.subsegments().next().unwrap();
            let exception = call.exceptions().next().unwrap();
            (call.fault(), exception.remote())
        }
    };
    assert_eq!(call(false, false).await, (true, true));
    assert_eq!(call(true, false).await, (true, false));
    assert_eq!(call(false, true).await, (true, false));
}

#[test]
fn a_panic_of_the_caller_is_no_fault_of_a_call_that_has_its_response() {
    // Whether it has asked for the body, and how far the call was until then.
    for (polls, frames, length) in [(0, vec![data("an order")], "8"), (1, vec![data("an order")], "8")] {
        let headers = HeaderMap::new();
        let call = told(|segment| {
            let call = get(&headers).begin_in(segment);
            let panic = catch_unwind(AssertUnwindSafe(|| {
                let mut response = call.follow(announced(length, Frames(frames, true)));
                for _ in 0..polls {
                    poll(&mut response);
                }
                panic!("nothing to do with the callee");
            }));
            assert!(panic.is_err());
        });
        assert_eq!((call.get("fault"), call.get("cause"), call.get("annotations")), (None, None, None), "{call}");
        assert_eq!(call["http"]["response"], json!({ "status": 200, "content_length": 8 }));
    }
}

#[test]
fn a_body_that_a_panic_of_the_caller_drops_half_way_is_cancelled() {
    let headers = HeaderMap::new();
    let call = told(|segment| {
        let call = get(&headers).begin_in(segment);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let mut response = call.follow(announced("80", Frames(vec![data("an order")], true)));
            poll(&mut response);
            panic!("nothing to do with the callee");
        }));
        assert!(panic.is_err());
    });
    assert_eq!((call.get("fault"), &call["annotations"]), (None, &json!({ "cancelled": true })), "{call}");
    assert_eq!(call["http"]["response"], json!({ "status": 200, "content_length": 8 }));
}

#[test]
fn a_panic_of_the_body_is_a_fault_and_goes_on() {
    struct Panicking;

    impl Body for Panicking {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            panic!("at the worst time");
        }
    }

    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let headers = HeaderMap::new();
    let mut body = get(&headers).begin_in(&segment).follow(Response::new(Panicking)).into_body();
    for _ in 0..2 {
        let polled = AssertUnwindSafe(|| Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())));
        assert!(catch_unwind(polled).is_err());
    }
    drop(body);
    segment.close();
    let document = documents.take_one();
    let calls: Vec<_> = document.subsegments().map(|call| (call.fault(), call.exceptions().count())).collect();
    assert_eq!(calls, [(true, 1)]);
}
