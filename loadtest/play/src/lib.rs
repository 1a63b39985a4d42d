//! The engine: plays a scenario against a server.
//!
//! The story: [`run`] compiles the scenario's scripts, lets sessions arrive as its phases say, and cuts a second of
//! figures whenever one has passed. Each session is one task that owns its connection, its half of the ledger and its
//! place in the script; whatever its step waits for, what arrives is dispatched. At the end, what is under way may
//! arrive; then the [`Played`] run is a record and a book, which several workers' can be merged from.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "times and counts of a run are positive and far below 2^52"
)]

mod accounts;
mod acts;
mod archive;
mod arrivals;
mod asking;
mod barrier;
mod chat;
mod clock;
mod compile;
mod contacts;
mod data;
mod dispatch;
mod faults;
mod files;
mod line;
mod measures;
mod nodes;
mod options;
mod others;
mod pace;
mod partners;
mod patience;
mod rooms;
mod run;
mod script;
mod seats;
mod session;
mod stage;
mod text;
mod upload;
mod waiting;

pub use arrivals::Part;
pub use compile::phases;
pub use options::{Endpoint, Options};
pub use others::{Gathered, Others};
pub use run::{Error, Played, run};
