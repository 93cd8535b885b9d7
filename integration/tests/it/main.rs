//! Calls to real servers, from a request to the documents. `.ci/services` starts the servers, and says where they are;
//! without it, the tests that take one are left out, and say so.

mod aws;
mod grpc;
mod queue;
mod redis;
mod sea_orm;
mod sql;
mod sqlx_bridge;
#[expect(dead_code, reason = "these tests need a part of it only")]
#[path = "../../../tests/it/support/mod.rs"]
mod support;
mod topics;
mod tree;
