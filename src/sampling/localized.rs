//! Sampling by rules that are part of the program.

use super::{Decision, Reservoir, Rule, Rules, SamplingRequest, SamplingStrategy};

/// Decides by [`Rules`]: the first rule that matches, its reservoir, then its fixed rate.
///
/// The default is that of every X-Ray SDK: one request per second and 5 % of the others. Every process counts for
/// itself.
#[derive(Debug)]
pub struct LocalizedStrategy {
    rules: Vec<(Rule, Reservoir)>,
    default: (Rule, Reservoir),
}

impl LocalizedStrategy {
    /// Applies these rules, with full reservoirs.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let filled = |rule: Rule| {
            let reservoir = Reservoir::new(rule.reservoir);
            (rule, reservoir)
        };
        Self { rules: rules.rules.into_iter().map(filled).collect(), default: filled(rules.default) }
    }
}

impl Default for LocalizedStrategy {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl SamplingStrategy for LocalizedStrategy {
    fn decide(&self, request: &SamplingRequest<'_>) -> Decision {
        let matching = self.rules.iter().find(|(rule, _)| rule.matches(request));
        let (rule, reservoir) = matching.unwrap_or(&self.default);
        let sampled = reservoir.take(request.now.as_secs()) || request.random < rule.fixed_rate;
        Decision::new(sampled).by_rule(rule.name.clone())
    }
}
