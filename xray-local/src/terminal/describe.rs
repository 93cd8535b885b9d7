//! In: an entity. Out: the words and the colour for its line.

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::model::entity::{end, is_in_progress, start, string};

/// How an entity ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Fine,
    Running,
    Error,
    Throttle,
    Fault,
}

impl State {
    pub(super) fn of(entity: &Value) -> Self {
        let flag = |name| entity.get(name) == Some(&Value::Bool(true));
        if flag("fault") {
            Self::Fault
        } else if flag("throttle") {
            Self::Throttle
        } else if flag("error") {
            Self::Error
        } else if is_in_progress(entity) {
            Self::Running
        } else {
            http_status(entity).map_or(Self::Fine, Self::of_status)
        }
    }

    fn of_status(status: i64) -> Self {
        match status {
            429 => Self::Throttle,
            400..=499 => Self::Error,
            500..=599 => Self::Fault,
            _ => Self::Fine,
        }
    }

    pub(super) fn style(self) -> Style {
        let color = match self {
            Self::Fine => AnsiColor::Green,
            Self::Running => AnsiColor::Cyan,
            Self::Error => AnsiColor::Yellow,
            Self::Throttle => AnsiColor::Magenta,
            Self::Fault => AnsiColor::Red,
        };
        Style::new().fg_color(Some(color.into()))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Fine => "",
            Self::Running => "running",
            Self::Error => "error",
            Self::Throttle => "throttle",
            Self::Fault => "fault",
        }
    }
}

/// The status code, with the state where the code does not say it.
pub(super) fn status(entity: &Value) -> String {
    let state = State::of(entity);
    match http_status(entity) {
        None => state.word().to_owned(),
        Some(status) if State::of_status(status) == state => status.to_string(),
        Some(status) => format!("{status} {}", state.word()).trim_end().to_owned(),
    }
}

/// Method and URL of the request, if there are any.
pub(super) fn request(entity: &Value) -> (&str, &str) {
    let field = |name| string(entity, &["http", "request", name]).unwrap_or_default();
    (field("method"), field("url"))
}

/// Where it ran, or whom it called, and for what.
pub(super) fn hint(entity: &Value) -> String {
    let place = string(entity, &["origin"]).or_else(|| string(entity, &["namespace"]));
    let (method, url) = request(entity);
    let aws = entity.get("aws");
    let operation = string(entity, &["aws", "operation"]);
    let retries = aws.and_then(|aws| aws.get("retries")?.as_u64()).filter(|retries| *retries > 0);
    let retries = retries.map(|retries| format!("{retries} {}", if retries == 1 { "retry" } else { "retries" }));
    let database = string(entity, &["sql", "database_type"]);
    let query = string(entity, &["sql", "sanitized_query"]);
    let resource = aws.and_then(resource);
    [place, operation, resource, retries.as_deref(), database, query, Some(method), Some(path(url))]
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What an AWS call was about. Of a URL or an ARN, the name at its end is enough.
fn resource(aws: &Value) -> Option<&str> {
    const NAMES: [&str; 6] = ["table_name", "bucket_name", "queue_url", "topic_arn", "function_name", "stream_name"];
    let named = NAMES.iter().find_map(|name| aws.get(name)?.as_str());
    let name = named.or_else(|| aws.get("resource_names")?.get(0)?.as_str())?;
    name.rsplit(['/', ':']).next()
}

/// The URL without scheme, for where there is no room.
pub(super) fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

fn path(url: &str) -> &str {
    let rest = without_scheme(url);
    let path = rest.find('/').map_or("", |slash| &rest[slash..]);
    path.split('?').next().unwrap_or_default()
}

/// Links shown of an entity.
const MAX_LINKS: usize = 3;

/// User, annotations, and the traces that it is linked to, as keys and values.
pub(super) fn annotations(entity: &Value) -> Vec<(&str, String)> {
    let user = string(entity, &["user"]).map(|user| ("user", user.to_owned()));
    let annotations = entity.get("annotations").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let annotations = annotations.into_iter().flatten().map(|(key, value)| (key.as_str(), text(value)));
    let links = entity.get("links").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let further = links.len().checked_sub(MAX_LINKS).filter(|further| *further > 0);
    let further = further.map(|further| ("links", format!("and {further} more")));
    let links =
        links.iter().take(MAX_LINKS).filter_map(|link| Some(("link", link.get("trace_id")?.as_str()?.to_owned())));
    user.into_iter().chain(annotations).chain(links).chain(further).collect()
}

/// How long it took, if it has ended.
pub(super) fn elapsed(entity: &Value) -> Option<String> {
    Some(duration(end(entity)? - start(entity)?))
}

/// Seconds in the unit that suits them.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 0.0 {
        return format!("-{}", duration(-seconds));
    }
    let micros = (seconds * 1e6).round();
    match micros {
        ..1e3 => format!("{micros:.0} µs"),
        ..9.995e3 => format!("{:.2} ms", micros / 1e3),
        ..99.95e3 => format!("{:.1} ms", micros / 1e3),
        ..999.5e3 => format!("{:.0} ms", micros / 1e3),
        ..9.995e6 => format!("{seconds:.2} s"),
        ..59.95e6 => format!("{seconds:.1} s"),
        ..3600e6 => format!("{:.0} m {:02.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor()),
        ..3.6e12 => format!("{:.1} h", seconds / 3600.0),
        _ => "> 1000 h".to_owned(),
    }
}

fn http_status(entity: &Value) -> Option<i64> {
    entity.get("http")?.get("response")?.get("status")?.as_i64()
}
