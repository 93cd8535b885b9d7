//! Asks for rules and targets when it is time.
//!
//! In: the counts of every rule. Out: rules that requests find at once, and what X-Ray grants each of them.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::{Arc, OnceLock},
    task::Poll,
    time::Duration,
};

use fastrand::Rng;

use super::{
    api::{self, Targets},
    daemon::{Daemon, Failure},
    manifest::{Entry, Manifest},
    rule::{CentralRule, Identity},
    shared::Shared,
    state::Report,
};

const RULES_EVERY: Duration = Duration::from_secs(300);
const RULES_JITTER: f64 = 5.0;
const TARGETS_EVERY: Duration = Duration::from_secs(10);
const TARGETS_JITTER: f64 = 0.1;
/// While there are no rules and the daemon does not answer, the first retry waits this long, and each of the others twice
/// as long as the one before.
const FIRST_RETRY: Duration = Duration::from_secs(10);
/// Rules that are known to be out of date are asked for this often at most.
const REFETCH_EVERY: Duration = Duration::from_secs(10);
/// X-Ray takes no more in one call.
const MAX_REPORTS: usize = 25;
const MAX_PAGES: usize = 50;

/// Keeps the rules of a [`CentralizedStrategy`](super::CentralizedStrategy) up to date.
///
/// It needs a tokio runtime with I/O and time. Without it, the strategy decides as while there is no daemon.
#[must_use = "a poller does nothing unless it runs"]
pub struct Poller {
    shared: Arc<Shared>,
    daemon: Daemon,
    service: Identity,
    random: Rng,
    until_rules: Duration,
    until_targets: Duration,
    retry: Duration,
    /// When rules were last asked for, successfully or not.
    asked: Option<Duration>,
    /// Our rules are known to be out of date.
    stale: bool,
    /// The last edit of the rules that X-Ray has reported.
    modified: Option<f64>,
    failure: Option<Failure>,
}

impl Poller {
    pub(super) fn new(shared: Arc<Shared>, daemon: Daemon, service: Identity, random: Rng) -> Self {
        Self {
            shared,
            daemon,
            service,
            random,
            until_rules: Duration::ZERO,
            until_targets: TARGETS_EVERY,
            retry: FIRST_RETRY,
            asked: None,
            stale: false,
            modified: None,
            failure: None,
        }
    }

    /// Runs until the strategy is dropped or shut down.
    pub async fn run(mut self) {
        let shared = self.shared.clone();
        let mut stopped = pin!(shared.stop.notified());
        let mut polling = pin!(async {
            loop {
                let wait = self.step().await;
                tokio::time::sleep(wait).await;
            }
        });
        poll_fn(|cx| match stopped.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => polling.as_mut().poll(cx).map(|never: Infallible| match never {}),
        })
        .await;
    }

    /// Does what is due, and returns how long to wait until the next step: for programs that wait in their own way.
    ///
    /// The first step fetches the rules. A step takes 3 seconds for a call that is not answered.
    pub async fn step(&mut self) -> Duration {
        if self.until_rules.is_zero() {
            self.until_rules = self.fetch_rules().await;
        }
        if self.until_targets.is_zero() {
            self.report().await;
            if self.stale && self.may_refetch() {
                self.until_rules = self.fetch_rules().await;
            }
            self.until_targets = TARGETS_EVERY + Duration::from_secs_f64(TARGETS_JITTER * self.random.f64());
        }
        let wait = self.until_rules.min(self.until_targets);
        self.until_rules -= wait;
        self.until_targets -= wait;
        wait
    }

    /// Replaces the rules; how long until they are fetched again.
    async fn fetch_rules(&mut self) -> Duration {
        // Before the call, so that an edit during the call is newer.
        let now = self.now();
        self.asked = Some(now);
        let rules = self.all_rules().await;
        let failure = match rules {
            Ok(rules) => {
                let before = self.shared.current.get();
                self.shared.current.set(Manifest::new(rules, &self.service, now, before.as_deref()));
                self.stale = false;
                self.retry = FIRST_RETRY;
                None
            }
            Err(failure) => Some(failure),
        };
        let regularly = RULES_EVERY + Duration::from_secs_f64(RULES_JITTER * self.random.f64());
        let waits_for_daemon = matches!(failure, Some(Failure::Unanswered(_)));
        self.tell(failure);
        if waits_for_daemon && self.shared.fresh(now).is_none() {
            let next = (self.retry * 2).min(RULES_EVERY);
            return mem::replace(&mut self.retry, next).min(regularly);
        }
        regularly
    }

    /// The rules of all pages; of rules with the same name, the first one.
    async fn all_rules(&mut self) -> Result<Vec<CentralRule>, Failure> {
        let (mut rules, mut tokens) = (Vec::new(), Vec::<String>::new());
        while tokens.len() < MAX_PAGES {
            let request = api::rules_request(tokens.last().map(String::as_str));
            let answer = self.daemon.post(api::RULES_PATH, request).await?;
            let page = api::rules_page(&answer).ok_or(Failure::Unreadable)?;
            for rule in page.rules {
                if rules.iter().all(|known: &CentralRule| known.common.name != rule.common.name) {
                    rules.push(rule);
                }
            }
            match page.next_token {
                Some(token) if !tokens.contains(&token) => tokens.push(token),
                _ => break,
            }
        }
        // There is always a default rule.
        if rules.is_empty() { Err(Failure::Unreadable) } else { Ok(rules) }
    }

    /// Reports the rules that are due, and applies the answers.
    async fn report(&mut self) {
        let Some(manifest) = self.shared.current.get() else { return };
        let now = self.now();
        let due: Vec<&Entry> = manifest.entries.iter().filter(|entry| entry.state.is_due(now)).collect();
        for entries in due.chunks(MAX_REPORTS) {
            let reports: Vec<Report> =
                entries.iter().map(|entry| entry.state.report(&entry.rule.common.name)).collect();
            let request = api::targets_request(client_id(), now, &reports);
            let answer = self.daemon.post(api::TARGETS_PATH, request).await;
            let answer = answer.and_then(|answer| api::targets(&answer).ok_or(Failure::Unreadable));
            match answer {
                Ok(answer) => {
                    self.apply(&manifest, &answer);
                    let arrived = reports.into_iter().filter(|report| !answer.failed.contains(&*report.name));
                    arrived.for_each(|report| report.arrived(now));
                    self.tell(None);
                }
                Err(failure) => {
                    self.tell(Some(failure));
                    return;
                }
            }
        }
    }

    fn apply(&mut self, manifest: &Manifest, answer: &Targets) {
        for target in &answer.targets {
            if let Some(entry) = manifest.by_name(&target.rule_name) {
                entry.state.apply(target);
            }
        }
        // An edit in the second of the fetch may have been missed. One that was told of before has been seen to.
        let missed =
            |modified: &f64| *modified >= manifest.fetched.as_secs() as f64 && self.modified != Some(*modified);
        if let Some(modified) = answer.modified.filter(missed) {
            self.modified = Some(modified);
            self.stale = true;
        }
        self.stale |= answer.refused;
    }

    /// Logs a failure once, until there is another one or none.
    fn tell(&mut self, failure: Option<Failure>) {
        if failure == self.failure {
            return;
        }
        match &failure {
            Some(failure) => tracing::warn!("no sampling rules or targets from the daemon: {failure} (said once)"),
            None => tracing::info!("sampling rules and targets come from the daemon again"),
        }
        self.failure = failure;
    }

    fn may_refetch(&self) -> bool {
        let elapsed = self.asked.and_then(|asked| self.now().checked_sub(asked));
        elapsed.is_none_or(|elapsed| elapsed >= REFETCH_EVERY)
    }

    fn now(&self) -> Duration {
        self.shared.clock.since_epoch()
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("daemon", &self.daemon).field("stale", &self.stale).finish_non_exhaustive()
    }
}

/// 24 hex digits, one for all of the process.
fn client_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| format!("{:024x}", fastrand::u128(..) >> 32))
}
