//! In: sampling rules, and calls of clients. Out: answers as X-Ray gives them, and reports.

pub(crate) mod calls;
mod fields;
mod local_rules;
pub(crate) mod quotas;
mod records;
pub(crate) mod rule;
mod rule_file;
