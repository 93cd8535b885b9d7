//! Calls to real servers, from a request to the documents. `.ci/services` starts the servers, and says where they are;
//! without it, the tests that take one are left out, and say so.

mod sql;
#[expect(dead_code, reason = "these tests need a part of it only")]
#[path = "../../../tests/it/support/mod.rs"]
mod support;

mod aws;
mod grpc;
mod sea_orm;
mod sqlx_bridge;
