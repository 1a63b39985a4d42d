//! What travels between roles, compiled from `proto/*.proto`. Only additive changes.
#![allow(missing_docs, clippy::pedantic, reason = "generated code; the .proto files carry the documentation")]

/// Stanzas, items and what is said about them.
pub mod delivery {
    pub mod v1 {
        tonic::include_proto!("delivery.v1");
    }
    pub use v1::*;
}

/// Edge ⇄ session.
pub mod session {
    pub mod v1 {
        tonic::include_proto!("session.v1");
    }
    pub use v1::*;
}

/// Owner ⇄ router.
pub mod router {
    pub mod v1 {
        tonic::include_proto!("router.v1");
    }
    pub use v1::*;
}

/// What owners keep in the durable store about each other.
pub mod cluster {
    pub mod v1 {
        tonic::include_proto!("cluster.v1");
    }
    pub use v1::*;
}

/// What others read on Kafka.
pub mod events {
    pub mod v1 {
        tonic::include_proto!("events.v1");
    }
    pub use v1::*;
}
