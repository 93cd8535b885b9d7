//! The layer: spans become subsegments.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::Visit,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    filter::Filtered,
    layer::{Context, Filter},
    registry::{LookupSpan, SpanRef},
};

use super::{
    entered,
    fields::{self, DebugValues, Failure, STATEMENT, Value, Visitor},
    query::{SYSTEM, add_statement, is_of_sqlx, is_query, record_query},
};
use crate::{
    client::sql::Sql,
    context::current,
    entity::{Entity, current::with_current},
};

/// Failures recorded of one span; a fault it is after the first one already.
const MAX_FAILURES: u32 = 32;

/// Turns spans into subsegments of the current entity. See the [module documentation](super).
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing unless a subscriber has it"]
pub struct SubsegmentLayer(Arc<Settings>);

#[derive(Clone, Default)]
struct Settings {
    /// Which spans become subsegments, if that is said.
    choose: Option<Arc<Choose>>,
    debug_values: DebugValues,
    /// Whom queries go to.
    sql: Option<Sql>,
}

type Choose = dyn Fn(&Metadata<'_>) -> bool + Send + Sync;

impl SubsegmentLayer {
    /// Takes spans of level info and above, but for those that tower-http opens around requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the spans for which this is true, instead.
    ///
    /// It should look at nothing but the metadata: it is asked once for every place in the code, or for every span.
    pub fn spans(self, choose: impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.choose = Some(Arc::new(choose)))
    }

    /// What becomes of values that are known by their `Debug` only. The default is [`DebugValues::Metadata`].
    pub fn debug_values(self, debug_values: DebugValues) -> Self {
        self.with(|settings| settings.debug_values = debug_values)
    }

    /// Records the queries of sqlx and sea-orm, which do not say what database they go to: this one.
    ///
    /// The events of **sqlx** (target `sqlx::query`) become subsegments of the current entity:
    ///
    /// - They come when a query is over, and do not say whether it has failed. A span around it does, as that of
    ///   `#[instrument(err)]`.
    /// - They are of level debug, unless `log_statements` of the pool's options says something else. A filter of the whole
    ///   subscriber has to let them pass: `info,sqlx::query=debug`. Filters of other layers do not matter.
    /// - The driver for SQLite runs queries on a thread of its own, where only a span leads back to the trace: one that is
    ///   chosen, or that of [`XRayLayer::log_span`](crate::XRayLayer::log_span). That thread may hold the span a moment
    ///   longer, so that it is sent after its segment.
    ///
    /// The spans of **sea-orm** (its feature `tracing-spans`), as all that have the field `db.system`, are such subsegments
    /// themselves, with their failures.
    ///
    /// A query within another subsegment of [`Sql`], such as one of sea-orm or of [`capture_sql`](crate::capture_sql), is not
    /// recorded again, but on the thread of SQLite. Texts of statements are recorded as [`Sql`] does it. A layer knows one
    /// database: where there are several, `capture_sql` says which.
    ///
    /// ```
    /// use tower_xray::{Sql, subscriber::SubsegmentLayer};
    ///
    /// let layer = SubsegmentLayer::new().sql(Sql::new("postgres://shop_rw:secret@db.internal/orders"));
    /// ```
    pub fn sql(self, sql: Sql) -> Self {
        self.with(|settings| settings.sql = Some(sql))
    }

    /// The layer behind a filter of what it takes, so that it enables nothing else.
    ///
    /// A layer without a filter enables everything, down to trace level, wherever no other one forbids it.
    #[must_use]
    pub fn filtered<S>(self) -> Filtered<Self, SubsegmentFilter, S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let filter = SubsegmentFilter((*self.0).clone());
        self.with_filter(filter)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What a span belongs to, if that is recorded.
    fn parent<S>(attributes: &Attributes<'_>, context: &Context<'_, S>) -> Option<Entity>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let named = attributes.parent().and_then(|parent| Some(nearest(&context.span(parent)?)?.1));
        // One that is not recorded may have a header that takes an allocation to be cloned.
        named.or_else(|| with_current(|entity| entity.is_recorded().then(|| entity.clone())))
    }

    /// The subsegment of a span, if this layer looks after it.
    fn own<S>(&self, span: &SpanRef<'_, S>) -> Option<Entity>
    where
        S: for<'a> LookupSpan<'a>,
    {
        let extensions = span.extensions();
        extensions.get::<Opened>().filter(|opened| opened.belongs_to(&self.0)).map(|opened| opened.entity.clone())
    }

    /// Records fields of a span. That runs the code of their types, so no lock is held meanwhile.
    fn record<S>(&self, span: &SpanRef<'_, S>, entity: &Entity, fields: impl FnOnce(&mut dyn Visit))
    where
        S: for<'a> LookupSpan<'a>,
    {
        let mut failure = Failure::default();
        let sql = self.0.sql.as_ref().filter(|_| is_query(span.metadata()));
        fields(&mut Visitor(|name, value: Value<'_>| match sql {
            Some(_) if SYSTEM.contains(&name) => {}
            Some(sql) if STATEMENT.contains(&name) => add_statement(sql, entity, &value),
            _ => fields::record(entity, self.0.debug_values, &mut failure, name, &value),
        }));
        self.fail(span, entity, failure);
    }

    /// Records a failure of a span, unless it has had many.
    fn fail<S>(&self, span: &SpanRef<'_, S>, entity: &Entity, failure: Failure)
    where
        S: for<'a> LookupSpan<'a>,
    {
        if failure.is_any() && span.extensions().get::<Opened>().is_some_and(Opened::has_room_for_failure) {
            failure.record(entity, self.0.sql.as_ref().filter(|_| is_query(span.metadata())));
        }
    }
}

/// The extension of a span that has become a subsegment.
struct Opened {
    entity: Entity,
    kind: Kind,
    /// Of several layers the first one looks after the span; if that is gone, any other one.
    owner: Weak<Settings>,
    failures: AtomicU32,
}

/// What a span stands for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// The segment of a request, which has other owners: [`XRayLayer::log_span`](crate::XRayLayer::log_span).
    Segment,
    Subsegment,
}

impl Opened {
    fn belongs_to(&self, settings: &Arc<Settings>) -> bool {
        let is_owner = self.owner.as_ptr() == Arc::as_ptr(settings) || self.owner.strong_count() == 0;
        is_owner && self.kind == Kind::Subsegment
    }

    fn has_room_for_failure(&self) -> bool {
        self.kind == Kind::Subsegment && self.failures.fetch_add(1, Relaxed) < MAX_FAILURES
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(id) = self.entity.id() {
            entered::forget(id);
        }
        if self.kind == Kind::Subsegment {
            self.entity.close();
        }
    }
}

/// The innermost span that has become a subsegment, and its entity.
fn nearest<'a, S>(span: &SpanRef<'a, S>) -> Option<(SpanRef<'a, S>, Entity)>
where
    S: for<'b> LookupSpan<'b>,
{
    span.scope().find_map(|span| {
        let entity = span.extensions().get::<Opened>()?.entity.clone();
        Some((span, entity))
    })
}

impl<S> Layer<S> for SubsegmentLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(parent) = Self::parent(attributes, &context) else { return };
        let metadata = attributes.metadata();
        if !self.0.takes_span(metadata) {
            return;
        }
        let Some(span) = context.span(id) else { return };
        if span.extensions().get::<Opened>().is_some() {
            return;
        }
        let (owner, failures) = (Arc::downgrade(&self.0), AtomicU32::new(0));
        if is_of_request(metadata) {
            span.extensions_mut().insert(Opened { entity: parent, kind: Kind::Segment, owner, failures });
            return;
        }
        let subsegment = match &self.0.sql {
            Some(sql) if is_query(metadata) => parent.begin_sql(sql),
            _ => parent.begin_subsegment(metadata.name()),
        };
        let entity = subsegment.into_entity();
        span.extensions_mut().insert(Opened { entity: entity.clone(), kind: Kind::Subsegment, owner, failures });
        self.record(&span, &entity, |visit| attributes.record(visit));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let Some(entity) = self.own(&span) else { return };
        self.record(&span, &entity, |visit| values.record(visit));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let Some(entity) = context.span(id).and_then(|span| self.own(&span)) else { return };
        let Some((_, follows)) = context.span(follows).and_then(|span| nearest(&span)) else { return };
        // X-Ray segment documents: links lead to other traces.
        if let (Some(trace_id), Some(id)) = (follows.trace_id(), follows.id()) {
            if entity.trace_id() != Some(trace_id) {
                entity.add_link(trace_id, id);
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // In a span that has become a subsegment, something is recorded.
        if event.parent().is_none() && !with_current(Entity::is_recorded) || !self.0.takes_event(event.metadata()) {
            return;
        }
        let span = context.event_span(event).and_then(|span| nearest(&span));
        if let Some(sql) = self.0.sql.as_ref().filter(|_| is_of_sqlx(event.metadata())) {
            let is_known = span.is_some_and(|(span, _)| is_query(span.metadata())) || with_current(Entity::is_query);
            if !is_known {
                record_query(sql, &current(), event);
            }
        } else if let Some((span, entity)) = span.filter(|(span, _)| self.own(span).is_some()) {
            self.fail(&span, &entity, Failure::of_event(event));
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let entity = span.extensions().get::<Opened>().map(|opened| opened.entity.clone());
        if let Some(entity) = entity {
            entered::enter(entity);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if entered::is_empty() {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let entity = span.extensions().get::<Opened>().map(|opened| opened.entity.clone());
        if let Some(entity) = entity {
            if entity.id().is_some_and(entered::exit) {
                self.fail(&span, &entity, Failure::of_panic());
            }
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let opened = span.extensions_mut().remove::<Opened>();
        // Its end may run the code of an emitter, so it is after the lock's.
        drop(opened);
    }
}

impl Settings {
    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() { self.takes_span(metadata) } else { self.takes_event(metadata) }
    }

    fn takes_span(&self, metadata: &Metadata<'_>) -> bool {
        is_of_request(metadata)
            || match &self.choose {
                Some(choose) => choose(metadata),
                None => *metadata.level() <= Level::INFO && !metadata.target().starts_with("tower_http"),
            }
    }

    fn takes_event(&self, metadata: &Metadata<'_>) -> bool {
        is_error(metadata) || self.sql.is_some() && is_of_sqlx(metadata)
    }
}

/// Whether a span is that of [`XRayLayer::log_span`](crate::XRayLayer::log_span).
fn is_of_request(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "tower_xray"
}

/// Whether an event is an error: by its level, or by a field that no mere remark has.
fn is_error(metadata: &Metadata<'_>) -> bool {
    let has_error = || ["error", "err"].into_iter().any(|name| metadata.fields().field(name).is_some());
    match *metadata.level() {
        Level::ERROR => true,
        Level::WARN => has_error(),
        // `#[instrument(err(level = …))]` says that and nothing else.
        _ => metadata.fields().len() == 1 && has_error(),
    }
}

/// Enables what a [`SubsegmentLayer`] takes: the spans that it chooses, and events that are errors.
#[derive(Clone, Debug)]
pub struct SubsegmentFilter(Settings);

impl<S> Filter<S> for SubsegmentFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.takes(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.takes(metadata) { Interest::always() } else { Interest::never() }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("debug_values", &self.debug_values).finish_non_exhaustive()
    }
}
