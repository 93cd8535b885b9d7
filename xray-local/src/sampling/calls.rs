//! In: the path and the body of a call. Out: the answer, at the time that the clock shows.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::quotas::{Sampling, SamplingReport};
use super::rule::SamplingRules;
use crate::check::problem::Problem;
use crate::clock::Clock;

/// X-Ray's two sampling calls, for several threads.
#[derive(Debug)]
pub(crate) struct SamplingApi(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    sampling: Sampling,
    clock: Clock,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Rules,
    Targets,
}

impl SamplingApi {
    pub(crate) fn set_rules(&self, rules: SamplingRules) {
        let mut inner = self.inner();
        let now = inner.clock.since_epoch();
        inner.sampling.set(rules, now);
    }

    pub(crate) fn set_file(&self, path: PathBuf) -> Result<(), Problem> {
        let mut inner = self.inner();
        let now = inner.clock.since_epoch();
        inner.sampling.set_file(path, now)
    }

    pub(crate) fn set_clock(&self, now: impl Fn() -> Duration + Send + Sync + 'static) {
        self.inner().clock = Clock::Given(Arc::new(now));
    }

    pub(crate) fn reports(&self) -> Vec<SamplingReport> {
        self.inner().sampling.reports()
    }

    /// Answers a call, if there is one at this path, and says what is wrong with the file of the rules.
    pub(crate) fn call(&self, path: &str, request: &[u8]) -> Option<(Result<Value, String>, Option<Problem>)> {
        let call = match path {
            "/GetSamplingRules" => Call::Rules,
            "/SamplingTargets" => Call::Targets,
            _ => return None,
        };
        let request = match parse(request) {
            Ok(request) => request,
            Err(message) => return Some((Err(message), None)),
        };
        let mut inner = self.inner();
        let now = inner.clock.since_epoch();
        let problem = inner.sampling.refresh(now).err();
        let answer = match call {
            Call::Rules => Ok(inner.sampling.rules()),
            Call::Targets => inner.sampling.targets(&request, now),
        };
        Some((answer.map_err(|problem| format!("{} {}", problem.path(), problem.message())), problem))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SamplingApi {
    fn default() -> Self {
        let clock = Clock::default();
        Self(Mutex::new(Inner { sampling: Sampling::new(clock.since_epoch()), clock }))
    }
}

/// No body at all is an empty request.
fn parse(request: &[u8]) -> Result<Value, String> {
    if request.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_slice::<Value>(request) {
        Ok(request) if request.is_object() => Ok(request),
        Ok(_) => Err("the request is not a JSON object".to_owned()),
        Err(error) => Err(format!("the request is not JSON: {error}")),
    }
}
