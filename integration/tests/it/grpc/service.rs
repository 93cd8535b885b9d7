//! `shop.Prices`, with a method of each kind, as a generator would write it: both sides.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt, wrappers::TcpListenerStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::{Grpc, GrpcService},
    server::NamedService,
    service::Routes,
};
use tonic_prost::ProstCodec;
use tower::{BoxError, Service, service_fn};
use tower_xray::XRayLayer;

/// What a call asks for: so many quotes, and then this status.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Ask {
    #[prost(uint32, tag = "1")]
    pub(super) quotes: u32,
    #[prost(int32, tag = "2")]
    pub(super) code: i32,
    #[prost(string, tag = "3")]
    pub(super) message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Quote {
    #[prost(uint32, tag = "1")]
    pub(super) cents: u32,
}

/// A code of [`Ask`] for a handler that panics, and for one that never ends, after its quotes.
pub(super) const PANIC: i32 = -1;
pub(super) const NEVER: i32 = -2;

impl Ask {
    pub(super) fn new(quotes: u32, code: i32) -> Self {
        Self { quotes, code, message: if code == 0 { "" } else { "no price: 5 % off? für 42" }.to_owned() }
    }

    async fn end(self) -> Result<(), Status> {
        match self.code {
            PANIC => panic!("order 13 is cursed"),
            NEVER => std::future::pending().await,
            0 => Ok(()),
            code => Err(Status::new(Code::from(code), self.message)),
        }
    }

    async fn quote(self) -> Result<Response<Quote>, Status> {
        tower_xray::current().add_annotation("asked", true);
        self.end().await.map(|()| Response::new(Quote { cents: 1_250 }))
    }

    fn watch(self) -> Result<Response<Quotes>, Status> {
        tower_xray::current().add_annotation("asked", true);
        let quotes = tokio_stream::iter(0..self.quotes).map(|cents| Ok(Quote { cents }));
        let end = async move { self.end().await.err() };
        Ok(Response::new(Box::pin(quotes.chain(Box::pin(Ended(Some(Box::pin(end))))))))
    }
}

type Quotes = Pin<Box<dyn Stream<Item = Result<Quote, Status>> + Send>>;

/// A stream of the error that a future ends with, if it does.
struct Ended(Option<Pin<Box<dyn Future<Output = Option<Status>> + Send>>>);

impl Stream for Ended {
    type Item = Result<Quote, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(end) = &mut self.0 else { return Poll::Ready(None) };
        let end = std::task::ready!(end.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(end.map(Err))
    }
}

#[derive(Clone)]
struct Prices;

impl NamedService for Prices {
    const NAME: &'static str = "shop.Prices";
}

impl Service<http::Request<Body>> for Prices {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        /// The last of the messages that a client streams.
        async fn last(request: Request<Streaming<Ask>>) -> Result<Ask, Status> {
            let mut asks = request.into_inner();
            let mut last = Ask::default();
            while let Some(ask) = asks.message().await? {
                last = ask;
            }
            Ok(last)
        }

        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Quote, Ask>::default());
            Ok(match request.uri().path() {
                "/shop.Prices/Quote" => {
                    grpc.unary(service_fn(|ask: Request<Ask>| ask.into_inner().quote()), request).await
                }
                "/shop.Prices/QuoteLast" => {
                    grpc.client_streaming(service_fn(async |asks| last(asks).await?.quote().await), request).await
                }
                "/shop.Prices/Watch" => {
                    grpc.server_streaming(service_fn(async |ask: Request<Ask>| ask.into_inner().watch()), request).await
                }
                "/shop.Prices/Talk" => {
                    grpc.streaming(service_fn(async |asks| last(asks).await?.watch()), request).await
                }
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}

/// A kind of call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Unary,
    ClientStreaming,
    ServerStreaming,
    Streaming,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Unary, Self::ClientStreaming, Self::ServerStreaming, Self::Streaming];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Unary => "/shop.Prices/Quote",
            Self::ClientStreaming => "/shop.Prices/QuoteLast",
            Self::ServerStreaming => "/shop.Prices/Watch",
            Self::Streaming => "/shop.Prices/Talk",
        }
    }

    pub(super) fn streams_back(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::Streaming)
    }

    /// Calls, and gives the stream of quotes if it is one; otherwise the quote has been read.
    pub(super) async fn call<T>(self, grpc: &mut Grpc<T>, ask: Ask) -> Result<Option<Streaming<Quote>>, Status>
    where
        T: GrpcService<Body>,
        T::Error: Into<BoxError>,
        T::ResponseBody: http_body::Body + Send + 'static,
        <T::ResponseBody as http_body::Body>::Error: Into<BoxError>,
    {
        grpc.ready().await.map_err(|error| Status::unknown(error.into().to_string()))?;
        let (path, codec) = (PathAndQuery::from_static(self.path()), ProstCodec::<Ask, Quote>::default());
        let asks = tokio_stream::iter([Ask::default(), ask.clone()]);
        match self {
            Self::Unary => grpc.unary(Request::new(ask), path, codec).await.map(|_| None),
            Self::ClientStreaming => grpc.client_streaming(Request::new(asks), path, codec).await.map(|_| None),
            Self::ServerStreaming => {
                grpc.server_streaming(Request::new(ask), path, codec).await.map(|quotes| Some(quotes.into_inner()))
            }
            Self::Streaming => {
                grpc.streaming(Request::new(asks), path, codec).await.map(|quotes| Some(quotes.into_inner()))
            }
        }
    }

    /// Calls, and reads everything.
    pub(super) async fn finish<T>(self, grpc: &mut Grpc<T>, ask: Ask) -> Result<(), Status>
    where
        T: GrpcService<Body>,
        T::Error: Into<BoxError>,
        T::ResponseBody: http_body::Body + Send + 'static,
        <T::ResponseBody as http_body::Body>::Error: Into<BoxError>,
    {
        let mut quotes = self.call(grpc, ask).await?;
        while let Some(quotes) = &mut quotes {
            if quotes.message().await?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Who serves it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Host {
    Tonic,
    Axum,
}

impl Host {
    pub(super) const ALL: [Self; 2] = [Self::Tonic, Self::Axum];

    /// Serves it on loopback until the runtime ends.
    pub(super) async fn serve(self, layer: XRayLayer) -> SocketAddr {
        match self {
            Self::Tonic => serve_by(tonic::transport::Server::builder(), layer).await,
            Self::Axum => crate::support::serve(Routes::new(Prices).into_axum_router().layer(layer)).await,
        }
    }
}

/// The same with settings of tonic's server.
pub(super) async fn serve_by(server: tonic::transport::Server, layer: XRayLayer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.layer(layer).add_service(Prices).serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(serving);
    address
}
