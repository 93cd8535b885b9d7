//! What all documents of a recorder share: where the service runs, which version of it, and what records it.
//!
//! In: settings of a recorder. Out: fields of every segment, written once.

use super::{
    json::{Key, List, key, write_key, write_string, write_text},
    limits::MAX_STRING,
    log_group::LogGroup,
    text::cut,
};
use crate::id::ascii;

/// What identifies this crate; the collector reads the language off what follows `for`.
const SDK: &str = "tower-xray for Rust";

/// What every segment of a recorder says about where it runs, written once.
#[derive(Debug)]
pub(crate) struct Resource {
    /// `,"origin":…,"service":{…},"aws":{"cloudwatch_logs":[…],"xray":{…`: open at the end for the rule's name, and for
    /// what is about AWS.
    fields: String,
    working_directory: String,
}

impl Resource {
    pub(crate) fn new(origin: Option<&str>, version: Option<&str>, log_groups: &[LogGroup]) -> Self {
        let mut out = Vec::new();
        write_string(key!("origin"), cut(origin.unwrap_or_default(), MAX_STRING).as_bytes(), &mut out);
        out.extend_from_slice(b",\"service\":{\"runtime\":\"rustc\"");
        write_string(key!("runtime_version"), env!("TOWER_XRAY_RUSTC_VERSION").as_bytes(), &mut out);
        write_string(key!("version"), cut(version.unwrap_or_default(), MAX_STRING).as_bytes(), &mut out);
        out.extend_from_slice(b"},\"aws\":{");
        let mut list = List::new(key!("cloudwatch_logs"), b'[', &mut out);
        for group in log_groups {
            list.next();
            list.out.push(b'{');
            write_string(key!("log_group"), group.name.as_bytes(), list.out);
            write_string(key!("arn"), group.arn.as_deref().unwrap_or_default().as_bytes(), list.out);
            list.out.push(b'}');
        }
        list.end(b']');
        write_key(key!("xray"), &mut out);
        out.extend_from_slice(b"{\"sdk\":");
        write_text(SDK.as_bytes(), &mut out);
        write_string(key!("sdk_version"), env!("CARGO_PKG_VERSION").as_bytes(), &mut out);
        let working_directory = std::env::current_dir().map(|path| path.to_string_lossy().into_owned());
        Self { fields: ascii(&out).to_owned(), working_directory: working_directory.unwrap_or_default() }
    }

    /// The JSON of it, without the end of the object `aws`.
    pub(super) fn fields(&self) -> &str {
        &self.fields
    }

    pub(super) fn working_directory(&self) -> &str {
        &self.working_directory
    }
}
