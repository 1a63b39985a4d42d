//! What people see of a run: while it is on, when it is over, and beside another.
//!
//! While it is on, an [`Observer`] is shown every second: [`Live`] on a terminal, [`Plain`] in a log, [`Prometheus`] for who
//! asks, [`Otlp`] for a collector. When it is over, [`html`] makes one file with everything in it, [`markdown`] a summary, and
//! [`judge`] holds the run against its scenario's goals. [`compare`] says what changed between runs.

#![expect(clippy::cast_precision_loss, reason = "times and counts of a run are far below 2^52")]

mod compare;
mod goals;
mod html;
mod live;
mod markdown;
mod otlp;
mod prometheus;
#[cfg(test)]
mod sample;
mod stretch;
mod words;

use figures::{Record, Second};

pub use compare::{Better, Change, Comparison, Row, compare};
pub use goals::judge;
pub use html::html;
pub use live::{Live, Plain, Plan};
pub use markdown::markdown;
pub use otlp::Otlp;
pub use prometheus::Prometheus;

/// Is shown a run while it is on.
pub trait Observer {
    /// Another second has passed.
    fn second(&mut self, second: &Second);

    /// The run is over.
    fn end(&mut self, _record: &Record) {}
}

impl<O: Observer + ?Sized> Observer for Box<O> {
    fn second(&mut self, second: &Second) {
        (**self).second(second);
    }

    fn end(&mut self, record: &Record) {
        (**self).end(record);
    }
}

/// Several, one after the other.
impl<O: Observer> Observer for Vec<O> {
    fn second(&mut self, second: &Second) {
        for observer in self {
            observer.second(second);
        }
    }

    fn end(&mut self, record: &Record) {
        for observer in self {
            observer.end(record);
        }
    }
}
