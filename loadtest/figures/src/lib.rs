//! What was measured: latencies and counts as they happen, seconds as they pass, and the record of a whole run.
//!
//! Sessions write into a [`Recorder`]; once a second a [`Second`] is cut from it, which is shown, exported, and sent to the
//! controller; all of them together with the ledger's verdict are the [`Record`] that reports are made from. Everything
//! that crosses a process or ends in a file can be merged.

mod ledger;
mod record;
mod recorder;
mod spread;

pub use ledger::{Address, Archive, Book, End, Incoming, Kind, MessageId, NAMED_MAX, Offence, Outgoing, Verdict};
pub use record::{Generator, GoalOutcome, Machine, PhaseSpan, ProcessSample, Record, Second};
pub use recorder::{MEASURES_MAX, Measure, Recorder};
pub use spread::{LATENCY_US_MAX, Malformed, Spread};
