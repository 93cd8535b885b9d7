//! What the interceptor costs where nothing is recorded.

use std::cell::Cell;

use allocation_counter::measure;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
    },
    shared::IntoShared,
};
use aws_smithy_types::body::SdkBody;
use tokio::runtime;
use tower_xray::{
    Entity,
    client::aws_sdk::{XRayInterceptor, inputs},
    sampling::SampleNone,
};

use super::sdk_config;
use crate::support::recorder_with;

/// Answers at once.
#[derive(Debug)]
struct Answering;

impl HttpConnector for Answering {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), SdkBody::from("{}"))))
    }
}

/// Allocations of one call, once the client is warm.
fn allocations(interceptor: Option<XRayInterceptor>, entity: &Entity) -> u64 {
    let connector: SharedHttpConnector = Answering.into_shared();
    let http_client: SharedHttpClient = http_client_fn(move |_, _| connector.clone());
    let config = sdk_config("http://127.0.0.1:9", http_client);
    let mut builder = aws_sdk_dynamodb::config::Builder::from(&config).capture_input_attributes(inputs());
    if let Some(interceptor) = interceptor {
        builder = builder.interceptor(interceptor);
    }
    let client = aws_sdk_dynamodb::Client::from_conf(builder.build());
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = entity.enter();
    let call = || runtime.block_on(async { client.get_item().table_name("orders").send().await }).unwrap();
    (0..3).for_each(|_| drop(call()));
    let counts = Cell::new(u64::MAX);
    // The least of some: caches of the SDK may be renewed in between.
    for _ in 0..5 {
        counts.set(counts.get().min(measure(|| drop(call())).count_total));
    }
    counts.get()
}

#[test]
fn an_unsampled_call_allocates_the_value_of_its_header() {
    let (recorder, _) = recorder_with(|builder| builder.sampling(SampleNone));
    let segment = recorder.begin_segment("shop");
    let plain = allocations(None, segment.entity());
    let outside = allocations(Some(XRayInterceptor::new()), &Entity::none());
    let unsampled = allocations(Some(XRayInterceptor::new().attempts(true)), segment.entity());
    println!("a call allocates {plain} times; outside of a trace {outside} times, unsampled {unsampled} times");
    assert_eq!((outside - plain, unsampled - plain), (0, 1));
}
