//! In: a file with sampling rules, in one of two forms. Out: the rules, read again when the file changes.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::Value;

use super::fields::Fields;
use super::rule::SamplingRules;
use super::{local_rules, records};
use crate::check::problem::Problem;

impl SamplingRules {
    /// Reads rules in the form of X-Ray's API or of an SDK's local rules.
    ///
    /// The first is what `aws xray get-sampling-rules` prints. Fields with an obvious value may be left out: patterns
    /// are `*` then. Without a rule `Default`, the usual one is added.
    ///
    /// ```
    /// use xray_local::SamplingRules;
    ///
    /// let rules = SamplingRules::from_json(
    ///     r#"{"SamplingRuleRecords": [{"SamplingRule": {
    ///         "RuleName": "Orders", "Priority": 100, "FixedRate": 0.1, "ReservoirSize": 5, "URLPath": "/orders/*"
    ///     }}]}"#,
    /// )?;
    /// # Ok::<(), xray_local::Problem>(())
    /// ```
    ///
    /// The second is the local rules document of the X-Ray SDKs, version 1 or 2. Clients try its rules in their order.
    ///
    /// ```
    /// # use xray_local::SamplingRules;
    /// let rules = SamplingRules::from_json(
    ///     r#"{
    ///         "version": 2,
    ///         "rules": [{
    ///             "description": "Orders", "host": "*", "http_method": "*", "url_path": "/orders/*",
    ///             "fixed_target": 5, "rate": 0.1
    ///         }],
    ///         "default": { "fixed_target": 1, "rate": 0.05 }
    ///     }"#,
    /// )?;
    /// # Ok::<(), xray_local::Problem>(())
    /// ```
    ///
    /// `fixed_target` becomes the reservoir, `rate` the fixed rate, and the first 32 characters of the `description` the
    /// name; a rule without one is named after its position (`rule 1`), and a name that is taken gets the position
    /// behind it (`Orders #4`). Version 1 writes `service_name` for `host`. The SDKs differ in what they ignore, so this
    /// is as strict as the strictest: it refuses unknown keys, and numbers out of range.
    ///
    /// # Errors
    ///
    /// Returns the first mistake, with its place.
    pub fn from_json(json: &str) -> Result<Self, Problem> {
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let file: Value =
            serde_json::from_str(json).map_err(|error| Problem::rejected("$", format!("is not JSON: {error}")))?;
        let fields = Fields::of(&file, "$")?;
        match (fields.has("SamplingRuleRecords"), fields.has("rules") || fields.has("default")) {
            (true, false) => records::read(&fields),
            (false, true) => local_rules::read(&file),
            (true, true) => Err(fields.wrong("has rules in two forms: SamplingRuleRecords, and rules or default")),
            (false, false) => Err(fields.wrong("has neither SamplingRuleRecords nor rules and default")),
        }
    }
}

/// A file that is read again when it has changed.
#[derive(Debug)]
pub(super) struct RuleFile {
    path: PathBuf,
    stamp: Stamp,
}

/// When a file was modified, and its size; nothing if it cannot be seen.
type Stamp = Option<(SystemTime, u64)>;

impl RuleFile {
    pub(super) fn open(path: PathBuf) -> Result<(Self, SamplingRules), Problem> {
        let mut file = Self { path, stamp: None };
        file.stamp = file.look();
        let rules = file.read()?;
        Ok((file, rules))
    }

    /// Reads the rules if the file has changed since the last look.
    pub(super) fn changed(&mut self) -> Result<Option<SamplingRules>, Problem> {
        let stamp = self.look();
        if stamp == self.stamp {
            return Ok(None);
        }
        self.stamp = stamp;
        self.read().map(Some)
    }

    fn look(&self) -> Stamp {
        let metadata = fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    fn read(&self) -> Result<SamplingRules, Problem> {
        let json =
            fs::read_to_string(&self.path).map_err(|error| Problem::rejected("$", format!("cannot be read: {error}")));
        json.and_then(|json| SamplingRules::from_json(&json))
            .map_err(|problem| problem.in_document(&self.path.to_string_lossy()))
    }
}
