//! Building a recorder: the one place where a bad setting is an error.

use std::{fmt, io, sync::Arc, time::Duration};

use super::{core::Core, handle::Recorder, stats::Counters};
#[cfg(feature = "centralized-sampling")]
use crate::sampling::CentralizedStrategy;
use crate::{
    clock::Clock,
    document::{InvalidLogGroup, InvalidNameError, LogGroup, MAX_LOG_GROUPS, Resource, SegmentDocument, SegmentName},
    emitter::{DaemonAddress, DaemonAddressError, Emitter, UdpEmitter},
    environment::Environment,
    id::IdSource,
    sampling::{Capture, LocalizedStrategy, SamplingStrategy},
};

impl Recorder {
    /// A recorder as the environment says: see [`RecorderBuilder::build`] for the variables.
    ///
    /// # Errors
    ///
    /// When a variable has no valid value, or the emitter cannot be started.
    pub fn from_env() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    /// A recorder to be adjusted.
    pub fn builder() -> RecorderBuilder {
        RecorderBuilder::default()
    }
}

/// Adjusts a [`Recorder`].
///
/// Left alone, it records one request per second and 5 % of the others, and sends to `127.0.0.1:2000`.
#[must_use]
pub struct RecorderBuilder {
    emitter: Option<Box<dyn Emitter>>,
    strategy: Box<dyn SamplingStrategy>,
    #[cfg(feature = "centralized-sampling")]
    centralized: bool,
    capture: Option<Capture>,
    daemon_address: DaemonAddress,
    origin: Option<String>,
    service_version: Option<String>,
    log_groups: Vec<String>,
    backtraces: bool,
    #[cfg(feature = "sqlparser")]
    sql_statements: bool,
    clock: Clock,
    ids: IdSource,
    environment: Environment,
}

impl Default for RecorderBuilder {
    fn default() -> Self {
        Self {
            emitter: None,
            strategy: Box::new(LocalizedStrategy::default()),
            #[cfg(feature = "centralized-sampling")]
            centralized: false,
            capture: None,
            daemon_address: DaemonAddress::default(),
            origin: None,
            service_version: None,
            log_groups: Vec::new(),
            backtraces: false,
            #[cfg(feature = "sqlparser")]
            sql_statements: false,
            clock: Clock::default(),
            ids: IdSource::default(),
            environment: Environment::process(),
        }
    }
}

impl RecorderBuilder {
    /// Decides which segments are recorded.
    pub fn sampling(mut self, strategy: impl SamplingStrategy + 'static) -> Self {
        self.strategy = Box::new(strategy);
        #[cfg(feature = "centralized-sampling")]
        {
            self.centralized = false;
        }
        self
    }

    /// Decides by the [rules of X-Ray](crate::sampling::centralized), which the daemon is asked for in a thread that
    /// the first decision starts.
    #[cfg(feature = "centralized-sampling")]
    pub fn centralized_sampling(mut self) -> Self {
        self.centralized = true;
        self
    }

    /// Sends segments that were not sampled if they end badly. Off by default, since every segment is recorded then.
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = Some(capture);
        self
    }

    /// Takes the documents instead of a [`UdpEmitter`]; the daemon's address does not matter then.
    pub fn emitter(mut self, emitter: impl Emitter + 'static) -> Self {
        self.emitter = Some(Box::new(emitter));
        self
    }

    /// Where the daemon listens, unless `AWS_XRAY_DAEMON_ADDRESS` says it.
    pub fn daemon_address(mut self, address: DaemonAddress) -> Self {
        self.daemon_address = address;
        self
    }

    /// The kind of AWS resource that runs the service, such as `AWS::ECS::Fargate`. It is part of the identity of a
    /// node on the service map.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// The version of the service, to search by; cut at 250 characters.
    pub fn service_version(mut self, version: impl Into<String>) -> Self {
        self.service_version = Some(version.into());
        self
    }

    /// A log group of CloudWatch Logs that the service writes to: its name, or its ARN, which tells the account too.
    ///
    /// The X-Ray console searches it for the lines that have the id of a trace; see
    /// [`XRayLayer::log_span`](crate::XRayLayer::log_span) and the module `subscriber` for these. Called again, it adds another one, up to 5.
    pub fn log_group(mut self, name_or_arn: impl Into<String>) -> Self {
        self.log_groups.push(name_or_arn.into());
        self
    }

    /// Whether errors and panics carry the stack of where they were recorded. Off by default: a stack takes
    /// milliseconds, and needs debug information to be of use.
    pub fn backtraces(mut self, on: bool) -> Self {
        self.backtraces = on;
        self
    }

    /// Whether the texts of [SQL](crate::client::sql) statements are recorded, unless `AWS_XRAY_COLLECT_SQL_QUERIES` says
    /// it. Off by default.
    ///
    /// Every literal in them is a `?`. What cannot be read is left out: statements of a database that is not known, that are
    /// no SQL, or in which a backslash is before a quote.
    #[cfg(feature = "sqlparser")]
    pub fn sql_statements(mut self, on: bool) -> Self {
        self.sql_statements = on;
        self
    }

    /// Takes the time from here (since the Unix epoch) instead of the system's clocks: for tests.
    pub fn clock(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Clock::Given(Arc::new(now));
        self
    }

    /// Makes ids and random numbers repeatable: for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.ids = IdSource::seeded(seed);
        self
    }

    /// Looks variables up here instead of in the process environment: for tests.
    pub fn environment(mut self, lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.environment = Environment::new(lookup);
        self
    }

    /// Builds the recorder.
    ///
    /// As in every X-Ray SDK, the environment goes before the code:
    ///
    /// | variable | effect |
    /// |---|---|
    /// | `AWS_XRAY_DAEMON_ADDRESS` | where the daemon listens, see [`DaemonAddress`] |
    /// | `AWS_XRAY_TRACING_NAME` | the name of every segment of a layer, but for [a host that matches](crate::server::Naming::by_host) |
    /// | `AWS_XRAY_CONTEXT_MISSING` | what clients log about calls outside of any trace, see [`ContextMissing`](crate::context::ContextMissing) |
    /// | `AWS_XRAY_COLLECT_SQL_QUERIES=true` | with feature `sqlparser`: the texts of [SQL](crate::client::sql) statements are recorded, or not |
    /// | `AWS_XRAY_SDK_DISABLED=true`, `AWS_XRAY_SDK_ENABLED=false` | nothing is recorded; the header that comes in still goes on |
    ///
    /// # Errors
    ///
    /// When a variable has no valid value, a log group is none or one too many, or the thread of the emitter cannot be
    /// started.
    pub fn build(self) -> Result<Recorder, BuildError> {
        let environment = self.environment;
        let enabled = !environment.disabled();
        let name = environment.tracing_name().map(|name| SegmentName::new(&name)).transpose();
        let address = environment.daemon_address().map(|address| address.parse()).transpose();
        let name = name.map_err(|error| BuildError(Kind::Name(error)))?;
        let address = address.map_err(|error| BuildError(Kind::Address(error)))?.unwrap_or(self.daemon_address);
        if self.log_groups.len() > MAX_LOG_GROUPS {
            return Err(BuildError(Kind::LogGroups));
        }
        let log_groups: Result<Vec<_>, _> = self.log_groups.iter().map(|group| LogGroup::new(group)).collect();
        let log_groups = log_groups.map_err(|error| BuildError(Kind::LogGroup(error)))?;
        #[cfg(feature = "centralized-sampling")]
        let strategy: Box<dyn SamplingStrategy> = if self.centralized {
            Box::new(CentralizedStrategy::for_recorder(&address, &self.clock, self.origin.as_deref()))
        } else {
            self.strategy
        };
        #[cfg(not(feature = "centralized-sampling"))]
        let strategy = self.strategy;
        IdSource::renew();
        environment.rule_context_missing();
        let emitter = match self.emitter {
            Some(emitter) => emitter,
            None if !enabled => Box::new(Disabled),
            None => Box::new(UdpEmitter::new(address).map_err(|error| BuildError(Kind::Thread(error)))?),
        };
        Ok(Recorder(Arc::new(Core {
            emitter,
            strategy,
            capture: self.capture,
            resource: Arc::new(Resource::new(self.origin.as_deref(), self.service_version.as_deref(), log_groups)),
            name,
            enabled,
            backtraces: self.backtraces,
            #[cfg(feature = "sqlparser")]
            sql_statements: environment.collect_sql_queries().unwrap_or(self.sql_statements),
            clock: self.clock,
            ids: self.ids,
            counters: Counters::default(),
        })))
    }
}

impl fmt::Debug for RecorderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderBuilder").field("daemon_address", &self.daemon_address).finish_non_exhaustive()
    }
}

/// Stands in while the recorder is disabled; nothing is emitted then.
struct Disabled;

impl Emitter for Disabled {
    fn emit(&self, _: SegmentDocument) {}
}

/// Says why a recorder cannot be built, and what to write instead.
pub struct BuildError(Kind);

enum Kind {
    Address(DaemonAddressError),
    LogGroup(InvalidLogGroup),
    LogGroups,
    Name(InvalidNameError),
    Thread(io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Address(error) => write!(f, "AWS_XRAY_DAEMON_ADDRESS: {error}"),
            Kind::LogGroup(InvalidLogGroup(text)) => write!(
                f,
                "{text:?} is no log group: write its name (letters, numbers and _-/.#) or arn:aws:logs:…:log-group:<name>"
            ),
            Kind::LogGroups => write!(f, "there are more than {MAX_LOG_GROUPS} log groups: leave some out"),
            Kind::Name(error) => write!(f, "AWS_XRAY_TRACING_NAME: {error}"),
            Kind::Thread(_) => f.write_str("the thread that sends documents cannot be started"),
        }
    }
}

impl fmt::Debug for BuildError {
    /// As text: this is what `main` prints of an error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildError({self})")
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Thread(error) => Some(error),
            // Their text is part of this one's.
            Kind::Address(_) | Kind::LogGroup(_) | Kind::LogGroups | Kind::Name(_) => None,
        }
    }
}
