//! In: the two sampling calls of X-Ray's API. Out: rules, and for each client its share of their reservoirs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::fields::Fields;
use super::rule::{Rule, SamplingRules};
use super::rule_file::RuleFile;
use crate::check::problem::Problem;

/// How long a share of a reservoir is good for, and how long a silent client keeps its share.
const QUOTA_TTL: Duration = Duration::from_secs(20);

/// Seconds until a client should report again.
const INTERVAL: u64 = 10;

/// What X-Ray takes in one call.
const MOST_DOCUMENTS: usize = 25;

/// Clients of a rule that share its reservoir; of more, the oldest are forgotten.
const MOST_CLIENTS: usize = 1_000;

/// What clients have reported about a sampling rule to a [`LocalDaemon`](crate::LocalDaemon), in sum.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SamplingReport {
    /// The rule.
    pub rule_name: String,
    /// Clients that reported in the 20 seconds before the last report.
    pub clients: usize,
    /// Requests that matched the rule.
    pub requests: u64,
    /// Requests that were sampled.
    pub sampled: u64,
    /// Requests that were sampled before the client had a quota.
    pub borrowed: u64,
}

#[derive(Debug)]
pub(super) struct Sampling {
    rules: Vec<Reported>,
    modified: Duration,
    file: Option<RuleFile>,
}

#[derive(Debug)]
struct Reported {
    rule: Rule,
    /// In the order of their first report, with the time of the last.
    clients: Vec<(String, Duration)>,
    /// Its counts only.
    sum: SamplingReport,
}

/// What a client reports about one rule.
#[derive(Debug)]
struct Statistics<'a> {
    rule_name: &'a str,
    client_id: &'a str,
    requests: u64,
    sampled: u64,
    borrowed: u64,
}

impl Sampling {
    pub(super) fn new(now: Duration) -> Self {
        let mut sampling = Self { rules: Vec::new(), modified: now, file: None };
        sampling.replace(SamplingRules::default(), now);
        sampling
    }

    /// Takes these rules from now on; a file is forgotten.
    pub(super) fn set(&mut self, rules: SamplingRules, now: Duration) {
        self.file = None;
        self.replace(rules, now);
    }

    /// Takes the rules of this file, if they are good, and from now on those that it changes to.
    pub(super) fn set_file(&mut self, path: PathBuf, now: Duration) -> Result<(), Problem> {
        let (file, rules) = RuleFile::open(path)?;
        self.replace(rules, now);
        self.file = Some(file);
        Ok(())
    }

    /// Reads the file again if it has changed. Rules that are wrong change nothing.
    pub(super) fn refresh(&mut self, now: Duration) -> Result<(), Problem> {
        if let Some(rules) = self.file.as_mut().map_or(Ok(None), RuleFile::changed)? {
            self.replace(rules, now);
        }
        Ok(())
    }

    pub(super) fn reports(&self) -> Vec<SamplingReport> {
        let report = |reported: &Reported| SamplingReport {
            rule_name: reported.rule.name.clone(),
            clients: reported.clients.len(),
            ..reported.sum
        };
        self.rules.iter().map(report).collect()
    }

    /// Answers `GetSamplingRules`.
    pub(super) fn rules(&self) -> Value {
        let modified = self.modified.as_secs_f64();
        let record = |reported: &Reported| json!({ "SamplingRule": reported.rule.json, "CreatedAt": modified, "ModifiedAt": modified });
        json!({ "SamplingRuleRecords": self.rules.iter().map(record).collect::<Vec<_>>(), "NextToken": null })
    }

    /// Answers `GetSamplingTargets`. A request that is wrong anywhere counts for nothing.
    pub(super) fn targets(&mut self, request: &Value, now: Duration) -> Result<Value, Problem> {
        let documents = Fields::of(request, "$")?.list("SamplingStatisticsDocuments")?;
        if documents.len() > MOST_DOCUMENTS {
            let message = format!("has more than {MOST_DOCUMENTS} documents");
            return Err(Problem::rejected("$.SamplingStatisticsDocuments", message));
        }
        let documents = documents.iter().map(Statistics::parse).collect::<Result<Vec<_>, _>>()?;
        for statistics in &documents {
            if let Some(reported) = self.rules.iter_mut().find(|reported| reported.rule.name == statistics.rule_name) {
                reported.take(statistics, now);
            }
        }
        let (mut targets, mut unprocessed) = (Vec::new(), Vec::new());
        for Statistics { rule_name, client_id, .. } in documents {
            match self.rules.iter().find(|reported| reported.rule.name == rule_name) {
                Some(reported) => targets.push(reported.target(client_id, now)),
                None => {
                    unprocessed.push(json!({ "RuleName": rule_name, "ErrorCode": "400", "Message": "unknown rule" }));
                }
            }
        }
        Ok(json!({
            "SamplingTargetDocuments": targets,
            "LastRuleModification": self.modified.as_secs_f64(),
            "UnprocessedStatistics": unprocessed,
            "UnprocessedBoostStatistics": [],
        }))
    }

    /// Rules that keep their names keep their clients and counts.
    fn replace(&mut self, rules: SamplingRules, now: Duration) {
        let mut known: HashMap<_, _> =
            self.rules.drain(..).map(|reported| (reported.rule.name.clone(), reported)).collect();
        let reported = |rule: Rule| match known.remove(&rule.name) {
            Some(reported) => Reported { rule, ..reported },
            None => Reported { rule, clients: Vec::new(), sum: SamplingReport::default() },
        };
        self.rules = rules.into_rules().into_iter().map(reported).collect();
        self.modified = now;
    }
}

impl Reported {
    fn take(&mut self, statistics: &Statistics<'_>, now: Duration) {
        let Statistics { client_id, requests, sampled, borrowed, .. } = *statistics;
        self.sum.requests = self.sum.requests.saturating_add(requests);
        self.sum.sampled = self.sum.sampled.saturating_add(sampled);
        self.sum.borrowed = self.sum.borrowed.saturating_add(borrowed);

        self.clients.retain(|(_, last)| now.saturating_sub(*last) <= QUOTA_TTL);
        if let Some((_, last)) = self.clients.iter_mut().find(|(id, _)| id == client_id) {
            *last = now;
            return;
        }
        if self.clients.len() == MOST_CLIENTS {
            self.clients.remove(0);
        }
        self.clients.push((client_id.to_owned(), now));
    }

    /// What is left by an uneven division goes to the first clients, one each.
    fn target(&self, client_id: &str, now: Duration) -> Value {
        let clients = self.clients.len() as u64;
        let place = self.clients.iter().position(|(id, _)| id == client_id);
        // A client is missing only if a thousand others came in the same call.
        let quota = place.map_or(0, |place| {
            self.rule.reservoir / clients + u64::from((place as u64) < self.rule.reservoir % clients)
        });
        json!({
            "RuleName": self.rule.name,
            "FixedRate": self.rule.fixed_rate,
            "ReservoirQuota": quota,
            "ReservoirQuotaTTL": (now + QUOTA_TTL).as_secs_f64(),
            "Interval": INTERVAL,
        })
    }
}

impl<'a> Statistics<'a> {
    fn parse(document: &Fields<'a>) -> Result<Self, Problem> {
        let text = |key| document.text(key, 32)?.ok_or_else(|| document.missing(key));
        let count = |key| document.whole(key, 0, i64::MAX as u64);
        let client_id = text("ClientID")?;
        if client_id.len() != 24 || !client_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(document.wrong_at("ClientID", "is not 24 hexadecimal digits"));
        }
        document.number("Timestamp")?;
        Ok(Self {
            rule_name: text("RuleName")?,
            client_id,
            requests: count("RequestCount")?,
            sampled: count("SampledCount")?,
            borrowed: if document.has("BorrowCount") { count("BorrowCount")? } else { 0 },
        })
    }
}
