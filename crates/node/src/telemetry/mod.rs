//! What a node tells of itself: a log on standard error, and metrics.

mod log;
pub mod metrics;
mod process;
mod serve;

pub use log::{Format, Log};
pub use process::open_files_max;
pub use serve::serve;
