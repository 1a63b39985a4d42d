//! What was measured: latencies and counts as they happen, seconds as they pass, and the record of a whole run.
//!
//! Sessions write into a [`Recorder`]; once a second a [`Second`] is cut from it, which is shown, exported, and sent to the
//! controller; all of them together with the ledger's verdict are the [`Record`] that reports are made from. Everything
//! that crosses a process or ends in a file can be merged.

#![expect(clippy::cast_precision_loss, reason = "times and counts of a run are far below 2^52")]

mod ledger;
mod machine;
mod record;
mod recorder;
mod spread;
mod watch;

pub use ledger::{
    Address, Archive, Book, End, Incoming, Kind, MessageId, NAMED_MAX, Offence, Outgoing, Verdict,
};
pub use machine::{CPU_SHARE_MAX, LAG_MS_MAX};
pub use record::{FORM, Generator, GoalOutcome, Machine, Mark, PhaseSpan, ProcessSample, Record, Second};
pub use recorder::{MEASURES_MAX, Measure, Recorder};
pub use spread::{LATENCY_US_MAX, Malformed, Spread};
pub use watch::{Source, Watch};
