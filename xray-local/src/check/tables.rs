//! In: nothing. Out: which fields AWS and collectors know, and what each may hold.

use super::fields::{Field, Kind, may, must};

const TEXT: Kind = Kind::Text(usize::MAX);
const SHORT: Kind = Kind::Text(250);

/// Fields of segments and subsegments alike; `trace_id`, `type` and `subsegments` depend on the level.
pub(super) const ENTITY: &[Field] = &[
    must("id", Kind::Id),
    must("name", TEXT),
    must("start_time", Kind::Number),
    may("annotations", Kind::Annotations),
    may("aws", Kind::Object(AWS)),
    may("cause", Kind::Cause(CAUSE)),
    may("end_time", Kind::Number),
    may("error", Kind::Bool),
    may("fault", Kind::Bool),
    may("http", Kind::Object(&[may("request", Kind::Object(REQUEST)), may("response", Kind::Object(RESPONSE))])),
    may("in_progress", Kind::Bool),
    may("links", Kind::Objects(LINK)),
    may("metadata", Kind::Metadata),
    may("namespace", Kind::Namespace),
    may("origin", TEXT),
    may("parent_id", Kind::Id),
    may("precursor_ids", Kind::References),
    may("resource_arn", TEXT),
    may("service", Kind::Object(SERVICE)),
    may("sql", Kind::Object(SQL)),
    may("subsegments", Kind::Any),
    may("throttle", Kind::Bool),
    may("trace_id", Kind::Any),
    may("traced", Kind::Bool),
    may("type", TEXT),
    may("user", SHORT),
];

const REQUEST: &[Field] = &[
    may("client_ip", SHORT),
    may("method", SHORT),
    may("traced", Kind::Bool),
    may("url", SHORT),
    may("user_agent", SHORT),
    may("x_forwarded_for", Kind::Bool),
];

const RESPONSE: &[Field] = &[may("content_length", Kind::Count), may("status", Kind::Integer)];

const LINK: &[Field] = &[must("id", Kind::Id), must("trace_id", Kind::TraceId), may("attributes", Kind::Mapping)];

const SERVICE: &[Field] = &[may("compiler", TEXT), may("compiler_version", TEXT), may("version", TEXT)];

const SQL: &[Field] = &[
    may("connection_string", TEXT),
    may("database_type", TEXT),
    may("database_version", TEXT),
    may("driver_version", TEXT),
    may("preparation", TEXT),
    may("sanitized_query", TEXT),
    may("url", Kind::SqlUrl),
    may("user", SHORT),
];

const AWS: &[Field] = &[
    may("account_id", TEXT),
    may("cloudwatch_logs", Kind::Objects(&[may("arn", TEXT), may("log_group", TEXT)])),
    may(
        "ec2",
        Kind::Object(&[
            may("ami_id", TEXT),
            may("availability_zone", TEXT),
            may("instance_id", TEXT),
            may("instance_size", TEXT),
        ]),
    ),
    may(
        "ecs",
        Kind::Object(&[
            may("availability_zone", TEXT),
            may("cluster_arn", TEXT),
            may("container", TEXT),
            may("container_arn", TEXT),
            may("container_id", TEXT),
            may("launch_type", TEXT),
            may("task_arn", TEXT),
            may("task_family", TEXT),
        ]),
    ),
    may("eks", Kind::Object(&[may("cluster_name", TEXT), may("container_id", TEXT), may("pod", TEXT)])),
    may(
        "elastic_beanstalk",
        Kind::Object(&[may("deployment_id", Kind::Integer), may("environment_name", TEXT), may("version_label", TEXT)]),
    ),
    may("operation", TEXT),
    may("queue_url", TEXT),
    may("region", TEXT),
    may("request_id", TEXT),
    may("resource_names", Kind::Texts),
    may("retries", Kind::Integer),
    may("table_name", TEXT),
    may("table_names", Kind::Texts),
    may("tracing", Kind::Object(&[may("sdk", TEXT)])),
    may("xray", Kind::Object(&[may("auto_instrumentation", Kind::Bool), may("sdk", TEXT), may("sdk_version", TEXT)])),
];

const CAUSE: &[Field] =
    &[may("exceptions", Kind::Objects(EXCEPTION)), may("paths", Kind::Texts), may("working_directory", TEXT)];

const EXCEPTION: &[Field] = &[
    must("id", Kind::Reference),
    may("cause", Kind::Reference),
    may("message", TEXT),
    may("remote", Kind::Bool),
    may("skipped", Kind::Integer),
    may("stack", Kind::Objects(&[may("label", TEXT), may("line", Kind::Integer), may("path", TEXT)])),
    may("truncated", Kind::Integer),
    may("type", TEXT),
];
