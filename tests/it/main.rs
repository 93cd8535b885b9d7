//! Through the public API, from a request to the documents it emits.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod support;

mod annotations;
mod aws;
mod call;
mod capture;
mod causes;
mod centralized;
mod client;
mod contexts;
mod daemon_address;
mod document;
mod emitters;
mod environment;
mod faults;
mod follow;
mod header;
mod id;
mod in_progress;
mod log_groups;
mod message;
mod naming;
mod outcomes;
mod outline;
mod outliving;
mod panics;
mod propagation;
mod readers;
mod recording;
mod reservoir;
mod rule_readers;
mod rules_json;
mod rules_json_errors;
mod runtimes;
mod sampling;
mod sampling_stats;
mod secrets;
mod server;
mod split;
mod sql;
mod subscriber;
mod tee;
mod udp;
mod w3c;
mod wildcard;
mod wildcard_worst_case;
