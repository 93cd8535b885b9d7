//! The two calls of X-Ray as JSON, both ways.
//!
//! In: counts, and the JSON of answers. Out: the JSON of calls, and rules and targets. What is unknown is passed over,
//! and a record that lacks something is left out by itself.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use super::{
    rule::CentralRule,
    state::{Anomalies, Counts, Report, Target},
};
use crate::{
    document::text::truncate,
    sampling::{Rule, rule::ANY},
};

pub(super) const RULES_PATH: &str = "/GetSamplingRules";
pub(super) const TARGETS_PATH: &str = "/SamplingTargets";

/// The limit of a service's name in the X-Ray API.
const MAX_SERVICE_NAME: usize = 64;

/// One page of rules.
#[derive(Debug)]
pub(super) struct RulesPage {
    pub(super) rules: Vec<CentralRule>,
    pub(super) next_token: Option<String>,
}

/// The answer to a report.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) targets: Vec<Target>,
    /// When a rule was last edited.
    pub(super) modified: Option<f64>,
    /// Rules that our own are older than.
    pub(super) refused: bool,
    /// Rules whose counts X-Ray could not take.
    pub(super) failed: HashSet<String>,
}

pub(super) fn rules_request(next_token: Option<&str>) -> Vec<u8> {
    next_token.map_or_else(|| json!({}), |token| json!({ "NextToken": token })).to_string().into_bytes()
}

pub(super) fn rules_page(body: &[u8]) -> Option<RulesPage> {
    let page: Value = serde_json::from_slice(body).ok()?;
    let records = page.get("SamplingRuleRecords")?.as_array()?;
    let next_token = page.get("NextToken").and_then(Value::as_str).filter(|token| !token.is_empty());
    Some(RulesPage { rules: records.iter().filter_map(rule).collect(), next_token: next_token.map(str::to_owned) })
}

fn rule(record: &Value) -> Option<CentralRule> {
    let rule = record.get("SamplingRule")?;
    let text = |field| rule.get(field)?.as_str().map(str::to_owned);
    if number(rule, "Version")? != 1.0 {
        return None;
    }
    let attributes = match rule.get("Attributes") {
        None | Some(Value::Null) => Vec::new(),
        Some(attributes) => {
            let pair = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
            attributes.as_object()?.iter().map(pair).collect::<Option<_>>()?
        }
    };
    Some(CentralRule {
        common: Rule {
            name: text("RuleName").filter(|name| !name.is_empty())?.into(),
            service_name: text("ServiceName")?,
            host: text("Host")?,
            http_method: text("HTTPMethod")?,
            url_path: text("URLPath")?,
            reservoir: count(rule, "ReservoirSize")?,
            fixed_rate: number(rule, "FixedRate")?.clamp(0.0, 1.0),
        },
        priority: number(rule, "Priority")? as i64,
        service_type: text("ServiceType")?,
        resource_arn: text("ResourceARN").unwrap_or_else(|| ANY.to_owned()),
        attributes,
        boosts: rule.get("SamplingRateBoost").is_some_and(Value::is_object),
    })
}

pub(super) fn targets_request(client_id: &str, now: Duration, reports: &[Report]) -> Vec<u8> {
    let document = |Report { name, counts: Counts { requests, sampled, borrowed }, .. }: &Report| {
        json!({
            "RuleName": **name,
            "ClientID": client_id,
            "Timestamp": now.as_secs(),
            "RequestCount": requests,
            "SampledCount": sampled,
            "BorrowCount": borrowed,
        })
    };
    let boost_document = |Report { name, anomalies, .. }: &Report| {
        let Anomalies { service_name, total, anomalous, sampled } = anomalies;
        (*total > 0).then(|| {
            json!({
                "RuleName": **name,
                "ServiceName": truncate(service_name, MAX_SERVICE_NAME),
                "Timestamp": now.as_secs(),
                "AnomalyCount": anomalous,
                "TotalCount": total,
                "SampledAnomalyCount": sampled,
            })
        })
    };
    let documents: Vec<_> = reports.iter().map(document).collect();
    let boost_documents: Vec<_> = reports.iter().filter_map(boost_document).collect();
    let mut request = json!({ "SamplingStatisticsDocuments": documents });
    if !boost_documents.is_empty() {
        request["SamplingBoostStatisticsDocuments"] = boost_documents.into();
    }
    request.to_string().into_bytes()
}

pub(super) fn targets(body: &[u8]) -> Option<Targets> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let answer = answer.as_object()?;
    let list = |field| answer.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (mut refused, mut failed) = (false, HashSet::new());
    for unprocessed in list("UnprocessedStatistics") {
        let code =
            unprocessed.get("ErrorCode").map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
        match (code.unwrap_or_default().as_bytes().first(), unprocessed.get("RuleName").and_then(Value::as_str)) {
            (Some(b'4'), _) => refused = true,
            (Some(b'5'), Some(name)) => drop(failed.insert(name.to_owned())),
            _ => {}
        }
    }
    Some(Targets {
        targets: list("SamplingTargetDocuments").iter().filter_map(target).collect(),
        modified: answer.get("LastRuleModification").and_then(Value::as_f64),
        refused,
        failed,
    })
}

fn target(document: &Value) -> Option<Target> {
    let boost = document
        .get("SamplingBoost")
        .and_then(|boost| Some((number(boost, "BoostRate")?.clamp(0.0, 1.0), number(boost, "BoostRateTTL")?)));
    Some(Target {
        rule_name: document.get("RuleName")?.as_str()?.to_owned(),
        fixed_rate: number(document, "FixedRate")?.clamp(0.0, 1.0),
        quota: count(document, "ReservoirQuota"),
        quota_ttl: number(document, "ReservoirQuotaTTL"),
        interval: number(document, "Interval").filter(|seconds| *seconds > 0.0).map(|seconds| seconds as u64),
        boost,
    })
}

fn number(object: &Value, field: &str) -> Option<f64> {
    object.get(field)?.as_f64()
}

fn count(object: &Value, field: &str) -> Option<u32> {
    number(object, field).filter(|number| *number >= 0.0).map(|number| number as u32)
}
