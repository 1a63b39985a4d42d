//! The backend on Scylla or Cassandra, against a real one: `THRONG_CQL` says where (`host:port`). Without it nothing is
//! tested, and that is said.

#![allow(clippy::unwrap_used)] // whatever fails here is the test failing

mod archive_model;
#[path = "../model/calls.rs"]
mod calls;
mod cluster;
mod conformance;
mod faults;
mod fencing;
mod model;
mod schema;
