//! One run from several processes: a controller that hands out shares of a scenario, and workers that play them.
//!
//! The story: workers dial the [`Controller`], which waits until enough are there. This [`Fleet`] gives each its share,
//! measures how far apart their clocks are, and names one moment at which all begin. While the run is on it shows the seconds of all as one,
//! and opens barriers at which sessions of several workers meet; at the end it merges records and books into one
//! [`play::Played`], as if one process had played it. A worker whose connection ends, ends the run with an error that names it.
//!
//! Messages carry the time at which they were intended, by the controller's clock: each worker's own is corrected by what
//! round trips have told of it, and how far that can be trusted is a part of the record.

#![expect(clippy::cast_precision_loss, reason = "times of a run are far below 2^52")]

mod clock;
mod controller;
mod crew;
mod door;
mod hosts;
mod live;
mod meetings;
mod wire;
mod worker;

pub use clock::Clock;
pub use controller::{Controller, Error, Fleet};
pub use worker::{Unable, Worker};
