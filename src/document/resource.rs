//! What all documents of a recorder share: where the service runs, which version of it, and what records it.
//!
//! In: settings of a recorder. Out: fields of every segment, written once, and readers of the same.

use std::fmt;

use super::{
    json::{Key, List, key, write_key, write_string},
    limits::MAX_STRING,
    log_group::LogGroup,
    text::truncate,
};
use crate::id::ascii;

/// What identifies this crate; the collector reads the language off what follows `for`.
const SDK: &str = "tower-xray for Rust";
const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

const RUNTIME: &str = "rustc";
const RUNTIME_VERSION: &str = env!("TOWER_XRAY_RUSTC_VERSION");

/// What all documents of a recorder share: where the service runs, which version of it, and what records it.
///
/// JSON has it in segments, and in none of their subsegments: as `origin`, `service`, `aws.cloudwatch_logs` and `aws.xray`.
/// The working directory is a part of every `cause` that describes exceptions.
///
/// ```
/// use tower_xray::{Recorder, emitter::InMemoryEmitter, sampling::SampleAll};
///
/// let emitter = InMemoryEmitter::new();
/// let recorder = Recorder::builder().emitter(emitter.clone()).sampling(SampleAll);
/// let recorder = recorder.origin("AWS::ECS::Fargate").service_version("2.7.0").log_group("/ecs/orders").build()?;
/// recorder.begin_segment("nightly-report").close();
///
/// let [document] = &emitter.take()[..] else { panic!("one segment, one document") };
/// let resource = document.resource();
/// assert_eq!((resource.origin(), resource.service_version()), ("AWS::ECS::Fargate", "2.7.0"));
/// assert_eq!(resource.log_groups()[0].name(), "/ecs/orders");
/// assert_eq!(resource.runtime(), "rustc");
/// # Ok::<(), tower_xray::recorder::BuildError>(())
/// ```
pub struct Resource {
    origin: String,
    service_version: String,
    log_groups: Vec<LogGroup>,
    /// `,"origin":…,"service":{…},"aws":{"cloudwatch_logs":[…],"xray":{…`: open at the end for the rule's name, and for
    /// what is about AWS.
    fields: String,
    working_directory: String,
}

impl Resource {
    pub(crate) fn new(origin: Option<&str>, version: Option<&str>, log_groups: Vec<LogGroup>) -> Self {
        let origin = truncate(origin.unwrap_or_default(), MAX_STRING);
        let version = truncate(version.unwrap_or_default(), MAX_STRING);
        let mut out = Vec::new();
        write_string(key!("origin"), origin.as_bytes(), &mut out);
        out.extend_from_slice(b",\"service\":{");
        write_string(key!("runtime"), RUNTIME.as_bytes(), &mut out);
        write_string(key!("runtime_version"), RUNTIME_VERSION.as_bytes(), &mut out);
        write_string(key!("version"), version.as_bytes(), &mut out);
        out.extend_from_slice(b"},\"aws\":{");
        let mut list = List::new(key!("cloudwatch_logs"), b'[', &mut out);
        for group in &log_groups {
            list.next();
            list.out.push(b'{');
            write_string(key!("log_group"), group.name().as_bytes(), list.out);
            write_string(key!("arn"), group.arn().unwrap_or_default().as_bytes(), list.out);
            list.out.push(b'}');
        }
        list.end(b']');
        write_key(key!("xray"), &mut out);
        out.push(b'{');
        write_string(key!("sdk"), SDK.as_bytes(), &mut out);
        write_string(key!("sdk_version"), SDK_VERSION.as_bytes(), &mut out);
        let working_directory = std::env::current_dir().map(|path| path.to_string_lossy().into_owned());
        Self {
            origin: origin.to_owned(),
            service_version: version.to_owned(),
            log_groups,
            fields: ascii(&out).to_owned(),
            working_directory: working_directory.unwrap_or_default(),
        }
    }

    /// Returns the kind of AWS resource that runs the service, such as `AWS::ECS::Fargate`; empty if none was named. At
    /// most 250 characters.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the version of the service; empty if none was named. At most 250 characters.
    #[must_use]
    pub fn service_version(&self) -> &str {
        &self.service_version
    }

    /// Returns the log groups that the service writes to: at most 5.
    #[must_use]
    pub fn log_groups(&self) -> &[LogGroup] {
        &self.log_groups
    }

    /// Returns what the service was compiled with: `rustc`.
    #[must_use]
    pub fn runtime(&self) -> &str {
        RUNTIME
    }

    /// Returns the version of the compiler.
    #[must_use]
    pub fn runtime_version(&self) -> &str {
        RUNTIME_VERSION
    }

    /// Returns the name of this crate as X-Ray knows it.
    #[must_use]
    pub fn sdk(&self) -> &str {
        SDK
    }

    /// Returns the version of this crate.
    #[must_use]
    pub fn sdk_version(&self) -> &str {
        SDK_VERSION
    }

    /// Returns the directory that the process was in when the recorder was built; empty if it is not known.
    #[must_use]
    pub fn working_directory(&self) -> &str {
        &self.working_directory
    }

    /// The JSON of it, without the end of the object `aws`.
    pub(super) fn fields(&self) -> &str {
        &self.fields
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource")
            .field("origin", &self.origin)
            .field("service_version", &self.service_version)
            .field("log_groups", &self.log_groups)
            .finish_non_exhaustive()
    }
}
