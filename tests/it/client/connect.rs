//! Connecting, told apart from the rest of a call.

use std::{
    convert::Infallible,
    future::pending,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use axum::{Router, routing::get as route};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector, dns::GaiResolver},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpStream, sync::Notify};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_xray::{
    FutureExt, XRayClientLayer,
    client::{ConnectLayer, XRayClient},
    current,
    sampling::SampleNone,
};

use super::{echo, nobody};
use crate::{
    outline::outline,
    support::{described, recorder, recorder_with, serve},
};

type Traced<C> = XRayClient<Client<C, Empty<Bytes>>>;

fn client<C: Connect + Clone>(connector: C) -> Traced<C> {
    XRayClientLayer::new().layer(Client::builder(TokioExecutor::new()).build(connector))
}

/// A client all of whose connecting is told.
fn http_client() -> Traced<impl Connect + Clone + Send + Sync + 'static> {
    let resolver = ConnectLayer::dns().layer(GaiResolver::new());
    client(ConnectLayer::connect().layer(HttpConnector::new_with_resolver(resolver)))
}

/// Calls, and reads everything.
async fn get<C: Connect + Clone + Send + Sync + 'static>(client: &Traced<C>, uri: String) -> Result<(), String> {
    let request = Request::get(uri).body(Empty::new()).unwrap();
    let response = client.clone().oneshot(request).await.map_err(|error| error.to_string())?;
    response.into_body().collect().await.map(drop).map_err(|error| error.to_string())
}

type Connected = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

/// A connector that does it like this, and counts.
fn connector(
    connect: impl Fn(usize) -> Connected + Clone + Send + 'static,
) -> impl Service<Uri, Response = TokioIo<TcpStream>, Error = io::Error, Future = Connected> + Clone + Send {
    let count = Arc::new(AtomicUsize::new(0));
    service_fn(move |_: Uri| connect(count.fetch_add(1, Relaxed)))
}

async fn connect(address: SocketAddr) -> io::Result<TokioIo<TcpStream>> {
    TcpStream::connect(address).await.map(TokioIo::new)
}

#[tokio::test]
async fn connecting_is_below_its_call_and_a_connection_that_is_there_needs_none() {
    let (recorder, documents) = recorder();
    let port = echo().await.port();
    let segment = recorder.begin_segment("orders");
    let client = http_client();
    for _ in 0..2 {
        get(&client, format!("http://localhost:{port}/")).in_entity(&segment).await.unwrap();
    }
    segment.close();
    let name = format!("localhost:{port}");
    assert_eq!(outline(&documents.take()), [format!("orders({name}(connect(dns)) {name})")]);
}

#[tokio::test]
async fn reqwest_tells_of_its_connecting_as_a_whole() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let segment = recorder.begin_segment("orders");
    let client = reqwest::Client::builder().connector_layer(ConnectLayer::connect()).build().unwrap();
    let client = XRayClientLayer::new().layer(client);
    for _ in 0..2 {
        let request = reqwest::Request::new(http::Method::GET, format!("http://{address}/").parse().unwrap());
        let response = client.clone().oneshot(request).in_entity(&segment).await.unwrap();
        response.bytes().in_entity(&segment).await.unwrap();
    }
    segment.close();
    assert_eq!(outline(&documents.take()), [format!("orders({address}(connect) {address})")]);
}

#[tokio::test]
async fn tls_is_told_of_where_there_is_some_and_has_the_connection_below() {
    let (recorder, documents) = recorder();
    let address = echo().await;
    let segment = recorder.begin_segment("orders");
    let tcp = ConnectLayer::connect().layer(connector(move |_| Box::pin(connect(address))));
    let client = client(ConnectLayer::tls().layer(tcp));
    get(&client, format!("http://{address}/")).in_entity(&segment).await.unwrap();
    get(&client, "https://pricing.test/".to_owned()).in_entity(&segment).await.unwrap();
    segment.close();
    let told = format!("orders({address}(connect) pricing.test(tls(connect)))");
    assert_eq!(outline(&documents.take()), [told]);
}

#[tokio::test]
async fn a_connection_that_fails_is_a_fault_of_its_own() {
    let (recorder, documents) = recorder();
    let address = nobody();
    let segment = recorder.begin_segment("orders");
    get(&http_client(), format!("http://{address}/")).in_entity(&segment).await.unwrap_err();
    segment.close();
    let document = documents.take_one();
    let call = document.subsegments().next().unwrap();
    let connect = call.subsegments().next().unwrap();
    assert!(call.fault() && connect.fault(), "{document}");
    let message = connect.exceptions().next().unwrap().message();
    assert!(message.contains("tcp connect error"), "{document}");
    assert_eq!(connect.annotation("cancelled"), None);
}

#[tokio::test]
async fn a_connector_that_panics_is_a_fault_and_leaves_nothing_open() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let panics: [fn() -> Connected; 2] = [|| panic!("no route"), || Box::pin(async { panic!("no route") })];
    for panics in panics {
        let client = client(ConnectLayer::connect().layer(connector(move |_| panics())));
        let call = async move { get(&client, "http://pricing.test/".to_owned()).await };
        let tasks = tokio::task::LocalSet::new();
        let call = tasks.spawn_local(call.in_entity(&segment));
        assert!(tasks.run_until(call).await.unwrap_err().is_panic());
    }
    segment.close();
    let document = documents.take_one();
    for call in document.subsegments() {
        let connect = call.subsegments().next().unwrap();
        assert_eq!(described(connect), [("panic", "no route")], "{document}");
        assert!(call.fault() && connect.fault() && connect.annotation("cancelled").is_none(), "{document}");
    }
    assert_eq!(document.subsegments().count(), 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_cancels_its_connecting() {
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("orders");
    let client = client(ConnectLayer::connect().layer(connector(|_| Box::pin(pending()))));
    tokio::select! {
        biased;
        result = get(&client, "http://pricing.test/".to_owned()).in_entity(&segment) => panic!("{result:?}"),
        () = tokio::task::yield_now() => {}
    }
    segment.close();
    let document = documents.take_one();
    let connect = document.subsegments().next().unwrap().subsegments().next().unwrap();
    assert_eq!((connect.annotation("cancelled"), connect.fault()), (Some(true.into()), false));
}

#[tokio::test]
async fn a_call_that_gets_another_connection_leaves_none_of_its_own_open() {
    let (recorder, documents) = recorder();
    let (asked, second_connects) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let answer = {
        let second_connects = second_connects.clone();
        async move || {
            second_connects.notified().await;
            "quote"
        }
    };
    let address = serve(Router::new().route("/slow", route(answer)).route("/", route(async || "quote"))).await;

    // The second connection is there only when the calls are over, and what then runs in its context belongs to nobody.
    let (over, connected) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let connector = {
        let (over, connected, second_connects) = (over.clone(), connected.clone(), second_connects.clone());
        connector(move |number| {
            let (over, connected, second_connects) = (over.clone(), connected.clone(), second_connects.clone());
            Box::pin(async move {
                if number > 0 {
                    second_connects.notify_one();
                    over.notified().await;
                    assert!(current().is_none());
                    connected.notify_one();
                }
                connect(address).await
            })
        })
    };
    let client = client(ConnectLayer::connect().layer(connector));
    let segment = recorder.begin_segment("orders");
    let second = async {
        // The only connection is busy by now.
        asked.notified().await;
        get(&client, format!("http://{address}/")).await.unwrap();
    };
    let first = async {
        let call = get(&client, format!("http://{address}/slow"));
        asked.notify_one();
        call.await.unwrap();
    };
    async { tokio::join!(first, second) }.in_entity(&segment).await;
    segment.close();
    let document = documents.take_one();
    let calls: Vec<_> = document.subsegments().map(|call| (call.subsegments().count(), call.http_status())).collect();
    assert_eq!(calls, [(1, Some(200)), (1, Some(200))], "{document}");
    let left = document.subsegments().nth(1).unwrap().subsegments().next().unwrap();
    assert_eq!((left.annotation("cancelled"), left.fault()), (Some(true.into()), false), "{document}");

    over.notify_one();
    connected.notified().await;
    tokio::task::yield_now().await;
    assert_eq!(documents.len(), 0);
}

#[tokio::test]
async fn what_is_not_recorded_connects_as_ever() {
    let (recorder, documents) = recorder_with(|builder| builder.sampling(SampleNone));
    let address = echo().await;
    let segment = recorder.begin_segment("orders");
    get(&http_client(), format!("http://{address}/")).in_entity(&segment).await.unwrap();
    get(&http_client(), format!("http://{address}/")).await.unwrap();
    segment.close();
    assert_eq!(documents.len(), 0);
    let ready = service_fn(async |()| Ok::<_, Infallible>("there"));
    assert_eq!(ConnectLayer::tls().layer(ready).oneshot(()).await, Ok("there"));
}
