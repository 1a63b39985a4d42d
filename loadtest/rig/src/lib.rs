//! What the load harness is doubted with: a proxy that plants faults for the ledger to find, and a server that does next to
//! nothing, so that the generator itself can be measured.

/// A proxy between clients and a server that drops, doubles, delays and reorders stanzas, and says which.
pub mod faults;
/// A server that passes messages on and does nothing else.
pub mod null;
/// Where the pieces of an XML stream end.
pub mod scan;
