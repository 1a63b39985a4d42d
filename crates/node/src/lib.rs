//! What every role needs to be a node: its configuration, its telemetry, and the wires to other roles.
pub mod carry;
pub mod config;
pub mod credit;
pub mod discovery;
pub mod outbox;
pub mod peers;
pub mod shutdown;
pub mod slots;
pub mod telemetry;
pub mod wire;

pub use credit::Credit;
pub use outbox::{Batches, Outbox};
pub use peers::{Peer, Peers};
pub use wire::Wire;
