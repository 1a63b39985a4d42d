//! The log: lines on standard error, for people on a terminal and for machines by configuration.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The least important level, or a filter by module as `info,edge=debug`.
    pub level: String,
    /// How a line looks.
    pub format: Format,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people; in colours on a terminal.
    Text,
    /// An object a line.
    Json,
}

impl Log {
    /// Begins to log. Only the first call of a process has an effect.
    ///
    /// # Errors
    /// When the level is neither a level nor a filter; the text says where.
    pub fn begin(&self) -> Result<(), String> {
        let filter = EnvFilter::try_new(&self.level).map_err(|error| error.to_string())?;
        let builder = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_env_filter(filter)
            .with_span_events(FmtSpan::NONE);
        // A second log in one process happens in tests only, and means no harm.
        let _ = match self.format {
            Format::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
            Format::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        };
        Ok(())
    }
}
