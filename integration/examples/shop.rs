//! Every kind of call that a service makes, in one request and one trace.
//!
//! ```sh
//! cargo run --example shop               # leaves out what is not there, and says so
//! .ci/services cargo run --example shop  # with PostgreSQL, DynamoDB and SQS on loopback
//! ```
//!
//! `shop` takes an order: it asks `pricing` by HTTP and `stock` by gRPC, writes to PostgreSQL and DynamoDB, and sends a
//! message to SQS, which `order-worker` receives. The documents of the four go to a local daemon, which draws the trace.
//! PostgreSQL is what `DATABASE_URL` leads to, and AWS what `AWS_ENDPOINT_URL` does: nothing is sent to AWS itself.

use std::{
    env,
    io::{self, IsTerminal},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use anstream::println;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sqs::types::{MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use axum::{
    Router,
    extract::{Path, Request, State},
    http::StatusCode,
    routing::{get, post},
    serve::ListenerExt,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use sqlx::PgPool;
use tokio::{net::TcpListener, task::block_in_place};
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;
use tower::{BoxError, Layer, service_fn};
use tower_xray::{
    Recorder, Sql, XRayClientLayer, XRayLayer,
    client::{
        XRayClient,
        aws_sdk::{XRayInterceptor, inputs},
        reqwest::XRayMiddleware,
    },
    current, message,
    sampling::SampleAll,
    subscriber::{SubsegmentLayer, TraceIds},
};
use tracing_subscriber::{filter::LevelFilter, fmt, prelude::*};
use xray_local::{LocalDaemon, RenderOptions};

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let database = variable("DATABASE_URL", "PostgreSQL");
    let aws = variable("AWS_ENDPOINT_URL", "DynamoDB and SQS");
    trace_spans_and_logs(database.as_deref());

    let daemon = LocalDaemon::bind("127.0.0.1:0")?;
    let address = daemon.local_addr().to_string().parse()?;
    let recorder = Recorder::builder().environment(|_| None).daemon_address(address).sampling(SampleAll).build()?;

    let pricing = serve(pricing(), XRayLayer::new("pricing", recorder.clone())).await?;
    let stock = serve(stock(), XRayLayer::new("stock", recorder.clone())).await?;
    let orders = match &database {
        Some(url) => Some(Orders::connect(url).await?),
        None => None,
    };
    let aws = match &aws {
        Some(endpoint) => Some(Aws::connect(endpoint).await?),
        None => None,
    };
    let documents = if aws.is_some() { 4 } else { 3 };
    let shop = Shop::new(pricing, stock, orders, aws.clone());
    let shop = serve(shop.router(), XRayLayer::new("shop", recorder.clone())).await?;

    let answer = reqwest::Client::new().post(format!("http://{shop}/orders/42")).send().await?;
    let status = answer.status();
    println!("{status}: {}", answer.text().await?);
    if let Some(aws) = aws {
        aws.work(&recorder).await?;
    }

    recorder.shutdown(Duration::from_secs(2)).await;
    let complete = block_in_place(|| daemon.wait_for(documents, Duration::from_secs(5)));
    let traces = daemon.take_settled(Duration::ZERO);
    for trace in &traces {
        println!("\n{}", trace.render(&RenderOptions::default().width(110)));
    }
    for problem in daemon.problems() {
        println!("{problem}");
    }
    let is_good = complete && traces.len() == 1 && daemon.problems().is_empty() && status.is_success();
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where a server is, or word that there is none.
#[expect(clippy::disallowed_methods, reason = "this is the environment of the example")]
fn variable(name: &str, server: &str) -> Option<String> {
    let value = env::var(name).ok();
    if value.is_none() {
        println!("{name} is not set: the trace will have no {server}.");
    }
    value
}

/// Spans become subsegments, queries of sqlx too, and log lines tell their trace.
fn trace_spans_and_logs(database: Option<&str>) {
    let mut spans = SubsegmentLayer::new();
    if let Some(url) = database {
        spans = spans.sql(Sql::new(url));
    }
    tracing_subscriber::registry()
        .with(
            fmt::layer()
                .without_time()
                .with_ansi(io::stdout().is_terminal())
                .with_writer(TraceIds::new(io::stdout))
                .with_filter(LevelFilter::INFO),
        )
        .with(spans.filtered())
        .init();
}

async fn serve(app: Router, layer: XRayLayer) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    // gRPC sends small frames, and waits for an answer.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let app = app.layer(layer).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, app).into_future());
    Ok(address)
}

// pricing: HTTP.

fn pricing() -> Router {
    Router::new().route("/quotes/{item}", get(async |Path(_): Path<u32>| "1250"))
}

// stock: gRPC, as a generator would write it.

#[derive(Clone, PartialEq, prost::Message)]
struct Reserve {
    #[prost(uint32, tag = "1")]
    item: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Reserved {
    #[prost(uint32, tag = "1")]
    left: u32,
}

const RESERVE: &str = "/shop.Stock/Reserve";

fn stock() -> Router {
    let reserve = async |request: tonic::Request<Reserve>| {
        current().add_annotation("item", request.into_inner().item);
        Ok(tonic::Response::new(Reserved { left: 7 }))
    };
    let call = async move |request: Request| {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Reserved, Reserve>::default());
        grpc.unary(service_fn(reserve), request).await.map(axum::body::Body::new)
    };
    Router::new().route(RESERVE, post(call))
}

// shop: all of it.

#[derive(Clone)]
struct Shop {
    http: ClientWithMiddleware,
    pricing: SocketAddr,
    stock: tonic::client::Grpc<XRayClient<Channel>>,
    orders: Option<Orders>,
    aws: Option<Aws>,
}

impl Shop {
    fn new(pricing: SocketAddr, stock: SocketAddr, orders: Option<Orders>, aws: Option<Aws>) -> Self {
        let http = ClientBuilder::new(reqwest::Client::new()).with(XRayMiddleware::new()).build();
        let stock = format!("http://{stock}");
        let channel = Endpoint::from_shared(stock.clone()).expect("an address is a URL").connect_lazy();
        let channel = XRayClientLayer::new().layer(channel);
        let stock = tonic::client::Grpc::with_origin(channel, stock.parse().expect("an address is a URL"));
        Self { http, pricing, stock, orders, aws }
    }

    fn router(self) -> Router {
        Router::new().route("/orders/{item}", post(take_order)).with_state(self)
    }
}

async fn take_order(State(shop): State<Shop>, Path(item): Path<u32>) -> Result<String, (StatusCode, String)> {
    shop.take_order(item).await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

impl Shop {
    async fn take_order(mut self, item: u32) -> Result<String, BoxError> {
        let quote = self.http.get(format!("http://{}/quotes/{item}", self.pricing)).send().await?;
        let cents = discounted(quote.text().await?.parse()?);

        self.stock.ready().await?;
        let codec = ProstCodec::<Reserve, Reserved>::default();
        let reserve = tonic::Request::new(Reserve { item });
        let reserved = self.stock.unary(reserve, http::uri::PathAndQuery::from_static(RESERVE), codec).await?;

        if let Some(orders) = &self.orders {
            orders.insert(item, cents).await?;
        }
        if let Some(aws) = &self.aws {
            aws.remember(item).await?;
            aws.announce(item).await?;
        }
        tracing::info!(item, cents, "order taken");
        Ok(format!("{cents} cents, {} left", reserved.into_inner().left))
    }
}

#[tracing::instrument]
fn discounted(cents: u32) -> u32 {
    cents - cents / 10
}

/// PostgreSQL by sqlx, which knows nothing of tracing: its events become subsegments.
#[derive(Clone)]
struct Orders(PgPool);

impl Orders {
    async fn connect(url: &str) -> Result<Self, BoxError> {
        let pool = PgPool::connect(url).await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS orders (item BIGINT, cents BIGINT)").execute(&pool).await?;
        Ok(Self(pool))
    }

    async fn insert(&self, item: u32, cents: u32) -> Result<(), sqlx::Error> {
        let insert = sqlx::query("INSERT INTO orders (item, cents) VALUES ($1, $2)");
        insert.bind(i64::from(item)).bind(i64::from(cents)).execute(&self.0).await?;
        Ok(())
    }
}

/// Two clients of the AWS SDK, with two lines more in the configuration of each.
#[derive(Clone)]
struct Aws {
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    queue: String,
}

const TABLE: &str = "orders";

impl Aws {
    async fn connect(endpoint: &str) -> Result<Self, BoxError> {
        let credentials = aws_sdk_dynamodb::config::Credentials::new("test", "test", None, None, "example");
        let config = aws_types::SdkConfig::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_types::region::Region::new("eu-central-1"))
            .endpoint_url(endpoint)
            .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(&config)
            .interceptor(XRayInterceptor::new())
            .capture_input_attributes(inputs())
            .build();
        let sqs = aws_sdk_sqs::config::Builder::from(&config)
            .interceptor(XRayInterceptor::new())
            .capture_input_attributes(inputs())
            .build();
        let (dynamodb, sqs) = (aws_sdk_dynamodb::Client::from_conf(dynamodb), aws_sdk_sqs::Client::from_conf(sqs));

        let item = AttributeDefinition::builder().attribute_name("item").attribute_type(ScalarAttributeType::N);
        let key = KeySchemaElement::builder().attribute_name("item").key_type(KeyType::Hash);
        let table = dynamodb.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
        table.attribute_definitions(item.build()?).key_schema(key.build()?).send().await?;
        let queue = sqs.create_queue().queue_name("orders").send().await?;
        Ok(Self { dynamodb, sqs, queue: queue.queue_url.unwrap_or_default() })
    }

    async fn remember(&self, item: u32) -> Result<(), BoxError> {
        let put = self.dynamodb.put_item().table_name(TABLE);
        put.item("item", AttributeValue::N(item.to_string())).send().await?;
        Ok(())
    }

    /// The message carries the trace on. SQS itself takes it from the header of the call, whose subsegment is the parent
    /// then; moto has to be told.
    async fn announce(&self, item: u32) -> Result<(), BoxError> {
        let mut send = self.sqs.send_message().queue_url(&self.queue).message_body(item.to_string());
        if let Some(field) = message::current_field() {
            let field = MessageSystemAttributeValue::builder().data_type("String").string_value(field).build()?;
            send = send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, field);
        }
        send.send().await?;
        Ok(())
    }

    /// order-worker: takes the messages that are there, as one batch.
    async fn work(&self, recorder: &Recorder) -> Result<(), BoxError> {
        let name = MessageSystemAttributeName::AwsTraceHeader;
        let receive = self.sqs.receive_message().queue_url(&self.queue).max_number_of_messages(10);
        let messages = receive.message_system_attribute_names(name.clone()).send().await?.messages.unwrap_or_default();
        let headers = messages.iter().filter_map(|message| message.attributes()?.get(&name)?.parse().ok());
        let segment = recorder.begin_batch("order-worker", headers);
        segment.add_annotation("messages", messages.len());
        segment.close();
        Ok(())
    }
}
