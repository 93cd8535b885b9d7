//! Everything in a document can be read without JSON: what is built from its readers is what it writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    error::Error,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use tower::{Layer, ServiceExt, service_fn};
use tower_xray::{
    Entity, Sql, Subsegment, XRayClientLayer, XRayLayer, capture, capture_sql,
    client::sql::Preparation,
    current,
    document::{
        AnnotationValue, EntityDocument, ExceptionDocument, Namespace, Resource, SegmentDocument, SqlField, StackFrame,
    },
    sampling::{Decision, SamplingRequest, SamplingStrategy},
};

use crate::support::recorder_with;

/// The document as JSON, by way of its readers.
fn rebuilt(document: &SegmentDocument) -> Value {
    let mut fields = entity(document.root(), document.resource());
    fields.insert("trace_id".to_owned(), document.trace_id().to_string().into());
    insert(&mut fields, "parent_id", document.parent_id().map(|id| id.to_string()));
    if document.is_subsegment() {
        insert(&mut fields, "type", Some("subsegment"));
    } else {
        add_resource(&mut fields, document);
    }
    fields.into()
}

fn add_resource(fields: &mut Map<String, Value>, document: &SegmentDocument) {
    let resource = document.resource();
    insert(fields, "origin", text(resource.origin()));
    let mut service = Map::new();
    insert(&mut service, "runtime", text(resource.runtime()));
    insert(&mut service, "runtime_version", text(resource.runtime_version()));
    insert(&mut service, "version", text(resource.service_version()));
    fields.insert("service".to_owned(), service.into());
    let mut sdk = Map::new();
    insert(&mut sdk, "sdk", text(resource.sdk()));
    insert(&mut sdk, "sdk_version", text(resource.sdk_version()));
    insert(&mut sdk, "sampling_rule_name", document.sampling_rule_name());
    let log_groups = resource.log_groups().iter().map(|group| {
        let mut fields = Map::new();
        insert(&mut fields, "log_group", text(group.name()));
        insert(&mut fields, "arn", group.arn());
        Value::from(fields)
    });
    let aws = fields.entry("aws").or_insert_with(|| json!({})).as_object_mut().unwrap();
    insert(aws, "xray", Some(sdk));
    insert(aws, "cloudwatch_logs", list(log_groups));
}

fn entity(entity: EntityDocument<'_>, resource: &Resource) -> Map<String, Value> {
    let mut fields = Map::new();
    insert(&mut fields, "id", Some(entity.id().to_string()));
    insert(&mut fields, "name", Some(entity.name()));
    insert(&mut fields, "start_time", Some(seconds(entity.start_time())));
    if entity.is_in_progress() {
        assert_eq!(entity.end_time(), entity.start_time());
        insert(&mut fields, "in_progress", Some(true));
    } else {
        insert(&mut fields, "end_time", Some(seconds(entity.end_time())));
    }
    let namespace = entity.namespace().map(|namespace| match namespace {
        Namespace::Aws => "aws",
        Namespace::Remote => "remote",
        _ => unreachable!("{namespace:?}"),
    });
    insert(&mut fields, "namespace", namespace);
    for (key, set) in [
        ("error", entity.error()),
        ("fault", entity.fault()),
        ("throttle", entity.throttle()),
        ("traced", entity.traced()),
    ] {
        insert(&mut fields, key, set.then_some(true));
    }
    insert(&mut fields, "http", http(entity));
    insert(&mut fields, "user", text(entity.user()));
    let aws = entity.aws_fields().map(|(key, value)| {
        let is_list = ["resource_names", "table_names"].contains(&key);
        let value = scalar(&value);
        (key.to_owned(), if is_list { json!([value]) } else { value })
    });
    insert(&mut fields, "aws", object(aws));
    insert(&mut fields, "sql", object(entity.sql_fields().map(|(field, value)| (sql(field).to_owned(), value.into()))));
    let annotations = entity.annotations().map(|(key, value)| (key.to_owned(), scalar(&value)));
    insert(&mut fields, "annotations", object(annotations));
    insert(&mut fields, "metadata", metadata(entity));
    insert(&mut fields, "cause", cause(entity, resource));
    let links = entity.links().map(|(trace, id)| json!({ "trace_id": trace.to_string(), "id": id.to_string() }));
    insert(&mut fields, "links", list(links));
    let subsegments = entity.subsegments().map(|child| {
        assert_eq!(child.parent_id(), Some(entity.id()));
        Value::from(self::entity(child, resource))
    });
    insert(&mut fields, "subsegments", list(subsegments));
    fields
}

fn http(entity: EntityDocument<'_>) -> Option<Value> {
    let mut request = Map::new();
    insert(&mut request, "method", text(entity.http_method()));
    insert(&mut request, "url", text(entity.http_url()));
    if !request.is_empty() {
        insert(&mut request, "user_agent", text(entity.user_agent()));
        insert(&mut request, "client_ip", text(entity.client_ip()));
        insert(&mut request, "x_forwarded_for", entity.x_forwarded_for().then_some(true));
        insert(&mut request, "traced", entity.traced().then_some(true));
    }
    let mut response = Map::new();
    insert(&mut response, "status", entity.http_status());
    insert(&mut response, "content_length", entity.content_length());
    let parts = [("request", request), ("response", response)];
    object(parts.into_iter().filter(|(_, part)| !part.is_empty()).map(|(key, part)| (key.to_owned(), part.into())))
}

fn metadata(entity: EntityDocument<'_>) -> Option<Value> {
    let mut namespaces: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for entry in entity.metadata_entries() {
        assert_eq!(serde_json::from_str::<Value>(entry.json()).unwrap(), entry.value());
        namespaces.entry(entry.namespace()).or_default().insert(entry.key().to_owned(), entry.value());
    }
    if let Some(cut) = list(entity.cut().map(Value::from)) {
        namespaces.entry("tower_xray").or_default().insert("cut".to_owned(), cut);
    }
    object(namespaces.into_iter().map(|(namespace, keys)| (namespace.to_owned(), keys.into())))
}

fn cause(entity: EntityDocument<'_>, resource: &Resource) -> Option<Value> {
    let Some(exceptions) = list(entity.exceptions().map(exception)) else {
        return entity.cause_id().map(|id| id.to_string().into());
    };
    assert_eq!(entity.cause_id(), None);
    let mut fields = Map::new();
    insert(&mut fields, "working_directory", text(resource.working_directory()));
    insert(&mut fields, "exceptions", Some(exceptions));
    Some(fields.into())
}

fn exception(exception: ExceptionDocument<'_>) -> Value {
    let mut fields = Map::new();
    insert(&mut fields, "id", Some(exception.id().to_string()));
    insert(&mut fields, "type", text(exception.type_name()));
    insert(&mut fields, "message", text(exception.message()));
    insert(&mut fields, "remote", exception.remote().then_some(true));
    insert(&mut fields, "skipped", Some(exception.skipped()).filter(|count| *count > 0));
    insert(&mut fields, "truncated", Some(exception.truncated()).filter(|count| *count > 0));
    insert(&mut fields, "cause", exception.cause_id().map(|id| id.to_string()));
    insert(&mut fields, "stack", list(exception.stack().map(frame)));
    fields.into()
}

fn frame(frame: StackFrame<'_>) -> Value {
    let mut fields = Map::new();
    insert(&mut fields, "line", Some(frame.line()));
    insert(&mut fields, "path", text(frame.path()));
    insert(&mut fields, "label", text(frame.label()));
    fields.into()
}

fn sql(field: SqlField) -> &'static str {
    match field {
        SqlField::ConnectionString => "connection_string",
        SqlField::DatabaseType => "database_type",
        SqlField::DatabaseVersion => "database_version",
        SqlField::DriverVersion => "driver_version",
        SqlField::Preparation => "preparation",
        SqlField::SanitizedQuery => "sanitized_query",
        SqlField::Url => "url",
        SqlField::User => "user",
        _ => unreachable!("{field:?}"),
    }
}

fn scalar(value: &AnnotationValue<'_>) -> Value {
    match value {
        AnnotationValue::Bool(value) => (*value).into(),
        AnnotationValue::Float(value) => (*value).into(),
        AnnotationValue::Integer(value) => (*value).into(),
        AnnotationValue::Text(value) => (&**value).into(),
        _ => unreachable!("{value:?}"),
    }
}

fn seconds(time: Duration) -> Value {
    serde_json::from_str(&format!("{}.{:06}", time.as_secs(), time.subsec_micros())).unwrap()
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn insert(fields: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        assert_eq!(fields.insert(key.to_owned(), value.into()), None, "{key} twice");
    }
}

fn object(fields: impl Iterator<Item = (String, Value)>) -> Option<Value> {
    let fields: Map<String, Value> = fields.collect();
    (!fields.is_empty()).then(|| fields.into())
}

fn list(values: impl Iterator<Item = Value>) -> Option<Value> {
    let values: Vec<Value> = values.collect();
    (!values.is_empty()).then(|| values.into())
}

/// The keys that X-Ray knows: of all objects but for those whose keys are a program's own.
fn keys(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Array(values) => values.iter().flat_map(keys).collect(),
        Value::Object(fields) => {
            let below = fields.iter().filter(|(key, _)| !["annotations", "metadata"].contains(&key.as_str()));
            let known = fields.keys().map(String::as_str).filter(|key| !key.starts_with("aws_"));
            known.chain(below.flat_map(|(_, value)| keys(value))).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// Records everything by a rule with a long name.
struct ByRule;

impl SamplingStrategy for ByRule {
    fn decide(&self, _: &SamplingRequest<'_>) -> Decision {
        Decision::new(true).by_rule("checkout ".repeat(50))
    }
}

/// The last of so many errors, each of which has caused the one before.
#[derive(Debug)]
struct Chain(Option<Box<Self>>);

impl Chain {
    fn of(errors: usize) -> Self {
        (1..errors).fold(Self(None), |source, _| Self(Some(Box::new(source))))
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no \"stock\"\n\t{:?}", self.0.is_some())
    }
}

impl Error for Chain {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

/// Fails so deep down that not all of its stack is kept.
#[inline(never)]
fn fail_below(levels: u32, entity: &Entity) {
    if levels == 0 {
        entity.add_error(&Chain::of(40));
    } else {
        fail_below(levels - 1, entity);
    }
    // No tail call: each level is a frame.
    std::hint::black_box(levels);
}

/// Everything that can be said about a segment; returns a subsegment that outlives it.
async fn place_order() -> Subsegment {
    let entity = current();
    entity.set_user("ü-1");
    for number in 0..40 {
        entity.add_annotation(&format!("row_{number}"), number);
        entity.add_metadata_in(if number % 2 == 0 { "even" } else { "odd" }, &number.to_string(), json!([number]));
    }
    entity.add_annotation("tier", "silver");
    entity.add_annotation("TIER", "\"gold\"\n\u{1f4a5}");
    entity.add_annotation("total", 129.5);
    entity.add_annotation("negative", -3);
    entity.add_annotation("large", u64::MAX);
    entity.add_annotation("express", true);
    entity.add_metadata("cart \"\\", json!({ "lines": [{ "sku": "A-1", "count": 3 }], "note": null }));
    entity.add_metadata_in("tower_xray", "cut", "not ours");
    entity.add_metadata_in("AWS.store", "shelf", "north");
    for number in 1..=21 {
        entity
            .add_link(format!("1-68a1f0c4-{number:024x}").parse().unwrap(), format!("{number:016x}").parse().unwrap());
    }
    for number in 0..51 {
        entity.add_aws(&format!("aws_{number}"), number);
    }
    let stock = XRayClientLayer::new().traced(true).layer(service_fn(async |_: Request<String>| {
        Ok::<_, Infallible>(Response::builder().status(429).body("wait".to_owned()).unwrap())
    }));
    let call = Request::get("http://stock.internal:8080/levels/A-1?token=s").body(String::new()).unwrap();
    stock.oneshot(call).await.unwrap().into_body().collect().await.unwrap();
    let unreachable =
        XRayClientLayer::new().layer(service_fn(async |_: Request<String>| Err::<Response<String>, _>(Chain::of(2))));
    unreachable.oneshot(Request::new(String::new())).await.unwrap_err();
    let table = entity.begin_subsegment("orders-table");
    table.set_namespace(Namespace::Aws);
    for (key, value) in [("table_names", "orders"), ("operation", "GetItem"), ("consistent", "no")] {
        table.add_aws(key, value);
    }
    table.add_aws("retries", 2);
    table.close();
    for connection in ["postgres://shop:s@db.internal:5432/orders", "Server=db.internal;Database=orders;User Id=shop"] {
        let sql =
            Sql::new(connection).database_type("PostgreSQL").database_version("17").driver_version("0.9").user("u");
        let statement = sql.statement("SELECT 'x' FROM orders").preparation(Preparation::Statement);
        capture_sql(statement, async { Ok::<_, fmt::Error>(()) }).await.unwrap();
    }
    let error = capture("charge card", async { "4x2".parse::<u32>() }).await.unwrap_err();
    let _ = capture("again", async { capture("below", async { Err::<(), _>(Chain::of(1)) }).await }).await;
    entity.add_fault(&error);
    entity.send_in_progress();
    let late = entity.begin_subsegment("late");
    late.add_fault(&fmt::Error);
    late.add_aws("resource_names", "orders");
    late.begin_subsegment("later").close();
    late
}

#[tokio::test]
async fn everything_can_be_read() {
    let (recorder, documents) = recorder_with(|builder| {
        let builder = builder.sampling(ByRule).origin("AWS::ECS::Fargate").service_version("ü".repeat(300));
        let arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/ecs/orders";
        builder.log_group("orders.blue").log_group(arn).backtraces(true).sql_statements(true)
    });
    let late = Arc::new(Mutex::new(None));
    let handler = service_fn(|_: Request<String>| {
        let late = late.clone();
        async move {
            *late.lock().unwrap() = Some(place_order().await);
            let response = Response::builder().status(502).body("no receipt".to_owned());
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    let request = Request::post("http://shop.test/orders?id=7")
        .header("x-amzn-trace-id", "Root=1-68a1f0c4-7b3e9d215f80a6c4e2b71d09;Parent=9f2c4b7a1e5d3086")
        .header("x-forwarded-for", "203.0.113.9, 10.0.0.1")
        .header("user-agent", "curl/8.5.0")
        .body("{}".to_owned());
    let service = XRayLayer::new("orders", recorder.clone()).layer(handler);
    service.oneshot(request.unwrap()).await.unwrap().into_body().collect().await.unwrap();
    drop(late.lock().unwrap().take());
    fail_below(60, &recorder.begin_segment("report"));

    let documents = documents.take();
    let written: Vec<Value> =
        documents.iter().map(|document| serde_json::from_str(&document.to_json()).unwrap()).collect();
    for (document, written) in documents.iter().zip(&written) {
        let rebuilt = rebuilt(document);
        assert_eq!(rebuilt, *written, "\n{rebuilt:#}\n{written:#}");
    }
    let read: BTreeSet<&str> = written.iter().flat_map(keys).collect();
    assert_eq!(read.into_iter().collect::<Vec<_>>().join(" "), KEYS);
    let segment = written.iter().find(|document| document["http"]["response"]["status"] == 502).unwrap();
    assert_eq!(segment["metadata"]["tower_xray"], json!({ "cut": ["links", "aws"] }));
}

/// Each of them is in one of the documents at least.
const KEYS: &str = "annotations arn aws cause client_ip cloudwatch_logs connection_string consistent content_length \
    database_type database_version driver_version end_time error exceptions fault http id in_progress label line links \
    log_group message metadata method name namespace operation origin parent_id path preparation remote request \
    resource_names response retries runtime runtime_version sampling_rule_name sanitized_query sdk sdk_version service \
    skipped sql stack start_time status subsegments table_names throttle trace_id traced truncated type url user \
    user_agent version working_directory x_forwarded_for xray";
