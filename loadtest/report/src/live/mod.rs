//! A run as it goes: a view on a terminal, or lines in a log.

mod plain;
mod view;

use std::collections::VecDeque;
use std::io::{self, Stdout, stdout};

use figures::{PhaseSpan, Record, Second};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};

use crate::Observer;

pub use plain::Plain;

/// As many seconds as the widest terminal shows.
const SECONDS_MAX: usize = 400;

/// What is known before the run begins.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The scenario's name.
    pub scenario: String,
    /// Who is loaded.
    pub target: String,
    /// In their order.
    pub phases: Vec<PhaseSpan>,
}

/// The view on a terminal. The keyboard is left alone: an interrupt is one. When it is dropped the terminal is as before.
pub struct Live {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    state: State,
}

/// What the view shows.
#[derive(Debug)]
struct State {
    plan: Plan,
    seconds: VecDeque<Second>,
    /// Since the beginning.
    failures: u64,
    sent: u64,
    delivered: u64,
}

impl Live {
    /// Takes the terminal that is standard output.
    pub fn start(plan: Plan) -> io::Result<Self> {
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        let mut live = Self { terminal, state: State::new(plan) };
        // The terminal's own way of clearing would ask where the cursor is, whose answer is typed like by a keyboard.
        execute!(stdout(), EnterAlternateScreen, Clear(ClearType::All), Hide)?;
        live.draw();
        Ok(live)
    }

    fn draw(&mut self) {
        let Self { terminal, state } = self;
        // A terminal that is gone does not end a run.
        let _ = terminal.draw(|frame| view::draw(frame, state));
    }
}

impl Observer for Live {
    fn second(&mut self, second: &Second) {
        self.state.add(second);
        self.draw();
    }

    fn end(&mut self, _record: &Record) {
        self.draw();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}

impl State {
    fn new(plan: Plan) -> Self {
        Self { plan, seconds: VecDeque::new(), failures: 0, sent: 0, delivered: 0 }
    }

    fn add(&mut self, second: &Second) {
        self.failures += plain::failures(second);
        self.sent += second.counts.get("sent").unwrap_or(&0);
        self.delivered += second.counts.get("delivered").unwrap_or(&0);
        if self.seconds.len() == SECONDS_MAX {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sample;

    /// For people who look, on a terminal: `cargo test -p report -- --ignored --nocapture shown_on`.
    #[test]
    #[ignore = "takes the terminal"]
    fn shown_on_this_terminal() {
        let record = sample::record();
        let plan = Plan { scenario: record.scenario, target: record.target, phases: record.phases };
        let mut live = Live::start(plan).unwrap();
        for second in &record.seconds {
            live.second(second);
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}
