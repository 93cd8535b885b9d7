//! In: the answer of `GetSamplingRules`, as the AWS CLI prints it. Out: its rules, completed.

use std::collections::HashSet;

use super::fields::Fields;
use super::rule::{DEFAULT, DEFAULT_PRIORITY, Rule, SamplingRules};
use crate::check::problem::Problem;
use crate::text;

pub(super) fn read(file: &Fields<'_>) -> Result<SamplingRules, Problem> {
    let mut rules = Vec::new();
    let mut names = HashSet::new();
    for record in file.list("SamplingRuleRecords")? {
        let given = record.fields("SamplingRule")?;
        let name = given.text("RuleName", 32)?.ok_or_else(|| given.missing("RuleName"))?;
        if name.is_empty() {
            return Err(given.wrong_at("RuleName", "is empty"));
        }
        if !names.insert(name) {
            return Err(given.wrong_at("RuleName", format!("is taken: {}", text::fit(name, 32))));
        }
        for (key, longest) in
            [("ServiceName", 64), ("ServiceType", 64), ("Host", 64), ("HTTPMethod", 10), ("URLPath", 128)]
        {
            given.text(key, longest)?;
        }
        given.text("ResourceARN", 500)?;
        let last = if name == DEFAULT { DEFAULT_PRIORITY } else { DEFAULT_PRIORITY - 1 };
        rules.push(Rule::new(
            name,
            given.whole("Priority", 1, last)?,
            given.whole("ReservoirSize", 0, i32::MAX as u64)?,
            given.rate("FixedRate")?,
            given.object.clone(),
        ));
    }
    if !names.contains(DEFAULT) {
        rules.extend(SamplingRules::default().into_rules());
    }
    Ok(SamplingRules::new(rules))
}
