//! What is known of a call before it begins.
//!
//! In: a name, and what is called. Out: a call that has begun, as part of an entity.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Method, Uri};

use super::{BeginCall, Call, MissingContext, target::Target};
use crate::{
    document::{AnnotationValue, Index, Namespace, SqlField, Tree},
    entity::{Entity, current::with_current},
    grpc,
};

/// Describes a [`Call`] before it begins. Made by [`Call::builder`] and [`Call::http`].
#[derive(Clone, Copy)]
#[must_use = "a call begins with `begin` or `begin_in`"]
pub struct CallBuilder<'a> {
    name: Option<&'a str>,
    namespace: Option<Namespace>,
    traced: bool,
    ago: Duration,
    http: Option<Http<'a>>,
    sql: &'a [(SqlField, &'a str)],
    aws: &'a [(&'a str, &'a str)],
    annotations: &'a [(&'a str, AnnotationValue<'a>)],
    secrets: Option<&'a Arc<[String]>>,
    missing_context: Option<&'a MissingContext>,
}

#[derive(Clone, Copy)]
struct Http<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

impl Call {
    /// Describes a call with this name. X-Ray draws a node for each name, so there should be few: a host, a database, a
    /// topic.
    ///
    /// Unless [`namespace`](CallBuilder::namespace) or [`local`](CallBuilder::local) says something else, it is a call to
    /// a service other than AWS.
    pub const fn builder(name: &str) -> CallBuilder<'_> {
        CallBuilder {
            name: Some(name),
            namespace: Some(Namespace::Remote),
            traced: false,
            ago: Duration::ZERO,
            http: None,
            sql: &[],
            aws: &[],
            annotations: &[],
            secrets: None,
            missing_context: None,
        }
    }

    /// Describes an HTTP request: its method, and its URL without credentials and query, which errors of the call do not
    /// repeat either. A gRPC request has its method as the annotation `route`.
    ///
    /// The call is named after the host, with the port unless that is the default, and after the `Host` header if the URI
    /// has none. A gRPC request without either is named after its service, anything else `unknown`.
    #[inline]
    pub const fn http<'a>(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> CallBuilder<'a> {
        CallBuilder { name: None, http: Some(Http { method, uri, headers }), ..Self::builder("") }
    }
}

impl<'a> CallBuilder<'a> {
    /// Names the call, instead of after its host.
    pub const fn name(mut self, name: &'a str) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets what kind of service is called. The default is [`Namespace::Remote`].
    pub const fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Makes it local work, such as a query of a database within the process: no node of the service map, and errors that
    /// are not those of another service.
    pub const fn local(mut self) -> Self {
        self.namespace = None;
        self
    }

    /// Says that the callee sends a segment of its own. Off by default: if it does, X-Ray links it with or without this;
    /// if it does not, X-Ray shows the trace as incomplete.
    pub const fn traced(mut self, on: bool) -> Self {
        self.traced = on;
        self
    }

    /// Moves the beginning into the past, for a call that is recorded after it has finished. It never begins before the
    /// entity that it is part of.
    pub const fn began_ago(mut self, ago: Duration) -> Self {
        self.ago = ago;
        self
    }

    /// Sets fields of the object `sql`, such as [`SqlField::DatabaseType`], by which X-Ray draws the node as a database.
    /// Empty values are left out, and so is a field that has a value already.
    ///
    /// A query text is recorded as it is: take the literals out of it, or use [`Sql`](crate::Sql).
    pub const fn sql(mut self, fields: &'a [(SqlField, &'a str)]) -> Self {
        self.sql = fields;
        self
    }

    /// Sets fields of the `aws` object; [`Entity::add_aws`] describes how keys and values are sanitised.
    pub const fn aws(mut self, fields: &'a [(&'a str, &'a str)]) -> Self {
        self.aws = fields;
        self
    }

    /// Sets annotations, such as the name of the operation; see [`Entity::add_annotation`]. X-Ray indexes them, so leave
    /// out what names a person.
    ///
    /// ```
    /// use tower_xray::{call::Call, document::SqlField};
    ///
    /// let annotations = [("operation", "GET".into()), ("commands", 1.into())];
    /// let call = Call::builder("cache.internal").sql(&[(SqlField::DatabaseType, "Redis")]).annotations(&annotations);
    /// # call.begin().end();
    /// ```
    pub const fn annotations(mut self, annotations: &'a [(&'a str, AnnotationValue<'a>)]) -> Self {
        self.annotations = annotations;
        self
    }

    /// Sets texts that no error of this call may repeat: passwords, tokens.
    pub const fn redact(mut self, secrets: &'a Arc<[String]>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// Reports a call that is made outside of any trace. Without it, nothing is logged.
    pub const fn missing_context(mut self, missing_context: &'a MissingContext) -> Self {
        self.missing_context = Some(missing_context);
        self
    }

    /// Begins the call as part of the current entity.
    pub fn begin(&self) -> Call {
        with_current(|caller| self.begin_in(caller))
    }

    /// Begins the call as part of this entity.
    pub fn begin_in(&self, caller: &Entity) -> Call {
        if caller.is_none() {
            if let Some(missing_context) = self.missing_context {
                missing_context.report();
            }
            return Call::default();
        }
        if !caller.is_recorded() {
            return Call::new(caller.begin_subsegment(""));
        }
        let target = self.http.map(|http| Target::new(http.uri, http.headers));
        let route = self.http.and_then(|http| grpc::Route::of(http.method, http.uri.path(), http.headers));
        // X-Ray knows a callee by its host, whatever it speaks; a tonic channel keeps that to itself.
        let known = self.name.or(target.and_then(|target| target.authority));
        let name = known.or(route.map(|route| route.service)).unwrap_or("unknown");
        let mut refused = 0;
        let subsegment = caller.begin_subsegment_ago(name, self.ago, |tree, index| {
            tree.node_mut(index).namespace = self.namespace;
            if let (Some(http), Some(target)) = (self.http, target) {
                let method = tree.write_string(http.method.as_str());
                let url = tree.write_with(|url| target.write_url(url));
                let node = tree.node_mut(index);
                node.http.method = method;
                node.http.url = url;
            }
            tree.node_mut(index).http.traced = self.traced;
            if let Some(route) = route {
                tree.annotate(index, "route", &route.path.into());
            }
            refused = self.describe(tree, index);
        });
        (0..refused).for_each(|_| subsegment.refuse());
        for (key, value) in self.annotations {
            subsegment.add_annotation(key, value.clone());
        }
        Call::new(subsegment).with_secrets(self.secrets, self.http.map(|http| http.uri))
    }

    /// Adds the fields of `sql` and `aws`; how many of the latter are refused.
    fn describe(&self, tree: &mut Tree, index: Index) -> usize {
        for (field, value) in self.sql {
            tree.add_sql(index, *field, value);
        }
        self.aws.iter().filter(|(key, value)| !tree.add_aws(index, key, (*value).into())).count()
    }
}

impl BeginCall for CallBuilder<'_> {
    fn begin_call(&mut self, caller: &Entity) -> Call {
        self.begin_in(caller)
    }
}

impl fmt::Debug for CallBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallBuilder")
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
