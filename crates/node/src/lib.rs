//! What every role needs to be a node: its configuration, its telemetry, and the wires to other roles.
pub mod outbox;
pub mod wire;

pub use outbox::{Batches, Outbox};
pub use wire::Wire;
