//! What plays are made of: a server started as its operators start it, clients that send and receive XML, and a stage
//! that brings them together and tells what happened.

/// A client for tests.
pub mod client;
/// What a received element is held against.
pub mod pattern;
/// Running plays, and telling of them.
pub mod run;
/// The server, as one process or as one for each role.
pub mod server;
/// Where a play takes place.
pub mod stage;
