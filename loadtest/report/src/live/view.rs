//! How the view looks: the run's progress, rates, latencies, failures, processes.

use figures::Second;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, LineGauge, Paragraph, Row, Sparkline, Table};

use super::State;
use super::plain::failures;
use crate::stretch;
use crate::words;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let rows = [
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Length(6),
        Constraint::Min(5),
        Constraint::Length(4),
    ];
    let [head, progress, rates, latencies, below] = Layout::vertical(rows).margin(1).areas(frame.area());
    self::head(frame, head, state);
    self::progress(frame, progress, state);
    self::rates(frame, rates, state);
    self::latencies(frame, latencies, state);
    self::below(frame, below, state);
}

fn head(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let bad = if state.failures > 0 { Style::new().fg(Color::Red) } else { Style::new().dim() };
    let line = Line::from(vec![
        Span::from(state.plan.scenario.clone()).bold(),
        Span::from(format!(" against {}  ", state.plan.target)).dim(),
        Span::from(format!("{} sent, {} delivered", words::count(state.sent), words::count(state.delivered))),
        Span::styled(format!(", {} failed", words::count(state.failures)), bad),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

fn progress(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let phases = &state.plan.phases;
    let now_ms = state.seconds.back().map_or(0, |second| second.at_ms);
    let end_ms = phases.last().map_or(0, |phase| phase.to_ms);
    let at = phases.iter().position(|phase| now_ms < phase.to_ms);
    let label = match at {
        Some(at) => format!(
            "{} ({} of {})  {} of {}",
            phases[at].name,
            at + 1,
            phases.len(),
            words::clock(now_ms),
            words::clock(end_ms)
        ),
        None => format!("settling  {}", words::clock(now_ms)),
    };
    let ratio = (now_ms as f64 / end_ms.max(1) as f64).clamp(0.0, 1.0);
    let gauge = LineGauge::default().ratio(ratio).label(label).filled_style(Style::new().fg(Color::Blue));
    frame.render_widget(gauge, area);
}

fn rates(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let columns: [Rect; 3] = Layout::horizontal([Constraint::Fill(1); 3]).spacing(2).areas(area);
    let of = |value: &dyn Fn(&Second) -> u64| state.seconds.iter().map(value).collect::<Vec<u64>>();
    let delivered = of(&|second| second.counts.get("delivered").copied().unwrap_or(0));
    let sessions = of(&|second| second.sessions);
    spark(frame, columns[0], ("delivered/s", Color::Blue), words::short, &delivered, &delivered);
    spark(frame, columns[1], ("sessions", Color::Green), words::short, &sessions, &sessions);
    let measure = state.seconds.back().and_then(first).unwrap_or_default();
    let p99 = of(&|second| second.latencies.get(measure).map_or(0, |spread| spread.p99_us));
    let name = format!("{measure} p99");
    spark(frame, columns[2], (name.trim(), Color::Magenta), words::micros, &p99, &logarithmic(&p99));
}

/// One that took a thousand times as long must not make all others flat.
fn logarithmic(values: &[u64]) -> Vec<u64> {
    let least = values.iter().copied().filter(|&value| value > 0).min().unwrap_or(1) as f64;
    let step = |value: f64| 1 + words::whole((value / least).ln() * 8.0) as u64;
    values.iter().map(|&value| if value == 0 { 0 } else { step(value as f64) }).collect()
}

/// The measure that is shown first: messages, or what most is done of.
fn first(second: &Second) -> Option<&str> {
    if second.latencies.contains_key("chat") {
        return Some("chat");
    }
    second.latencies.iter().max_by_key(|(_, spread)| spread.count).map(|(name, _)| name.as_str())
}

/// The last value in words, and as much of the course as there is room for.
fn spark(
    frame: &mut Frame<'_>,
    area: Rect,
    (name, colour): (&str, Color),
    say: fn(f64) -> String,
    values: &[u64],
    course: &[u64],
) {
    let now = say(values.last().copied().unwrap_or(0) as f64);
    let title = Line::from(vec![Span::from(format!("{name} ")).dim(), Span::from(now).bold()]);
    let course = &course[course.len().saturating_sub(usize::from(area.width))..];
    let block = Block::new().title(title);
    frame.render_widget(Sparkline::default().block(block).data(course).style(Style::new().fg(colour)), area);
}

fn latencies(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let Some(last) = state.seconds.back() else { return };
    let mut measures: Vec<_> = last.latencies.iter().collect();
    measures.sort_by_key(|(_, spread)| std::cmp::Reverse(spread.count));
    let figure = |text: String| Cell::from(Line::from(text).right_aligned());
    let rows = measures.iter().map(|(name, spread)| {
        let percentiles = [spread.p50_us, spread.p90_us, spread.p99_us, spread.max_us];
        let cells = percentiles.map(|us| figure(words::micros(us as f64)));
        Row::new(
            [Cell::from(name.as_str()), figure(words::short(spread.count as f64))].into_iter().chain(cells),
        )
    });
    let head =
        ["", "a second", "p50", "p90", "p99", "max"].map(|name| Cell::from(Line::from(name).right_aligned()));
    let widths = [18, 11, 11, 11, 11, 11].map(Constraint::Length);
    let table =
        Table::new(rows, widths).header(Row::new(head).style(Style::new().add_modifier(Modifier::DIM)));
    frame.render_widget(table, area);
}

fn below(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let mut backwards = state.seconds.iter().rev();
    let (Some(last), before) = (backwards.next(), backwards.next().cloned().unwrap_or_default()) else {
        return;
    };
    let took_us = (last.at_ms.saturating_sub(before.at_ms).max(1) * 1000) as f64;
    let cores = |cpu_us: u64| format!("{:.2}", cpu_us as f64 / took_us);
    let server = match stretch::server_cpu_us(&before, last) {
        Some(cpu_us) => {
            format!("{} cores, {}", cores(cpu_us), words::bytes(stretch::server_memory_bytes(last) as f64))
        }
        None => "not watched".to_owned(),
    };
    let lag_us = last.generators.values().map(|generator| generator.lag_max_us).max().unwrap_or(0);
    let own = format!(
        "{} cores, {} late at most",
        cores(stretch::generator_cpu_us(&before, last)),
        words::micros(lag_us as f64)
    );
    let late =
        if lag_us > figures::LAG_MS_MAX * 1000 { Style::new().fg(Color::Yellow) } else { Style::new() };
    let failed = match failures(last) {
        0 => Line::from("nothing failed in the last second").dim(),
        n => {
            let named = last.counts.iter().filter_map(|(name, n)| {
                let (measure, condition) = stretch::failure(name)?;
                Some(format!("{measure} {condition} {n}"))
            });
            Line::from(format!("failed {n}: {}", named.collect::<Vec<_>>().join(", "))).red()
        }
    };
    let lines = vec![
        Line::from(vec![Span::from("server     ").dim(), Span::from(server)]),
        Line::from(vec![Span::from("generator  ").dim(), Span::styled(own, late)]),
        failed,
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::Plan;
    use super::*;
    use crate::sample;

    fn screen(seconds: usize, width: u16, height: u16) -> String {
        let record = sample::record();
        let plan = Plan { scenario: record.scenario, target: record.target, phases: record.phases };
        let mut state = State::new(plan);
        record.seconds[..seconds].iter().for_each(|second| state.add(second));
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &state)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_view_shows_progress_rates_percentiles_and_processes() {
        let screen = screen(60, 100, 24);
        for text in [
            "p2p against throng",
            "steady (2 of 3)  1:00 of 2:00",
            "delivered/s 200",
            "sessions 200",
            "chat p99",
        ] {
            assert!(screen.contains(text), "{text}:\n{screen}");
        }
        assert!(
            screen.contains('█') && screen.contains("0.") && screen.contains("nothing failed"),
            "{screen}"
        );
        let chat = screen.lines().find(|line| line.contains("chat  ")).unwrap();
        assert!(chat.contains("200") && chat.matches("ms").count() == 4, "{chat}");
    }

    #[test]
    fn an_outlier_leaves_the_others_to_be_seen() {
        let steps = logarithmic(&[0, 1000, 2000, 1_000_000]);
        assert_eq!((steps[0], steps[1]), (0, 1));
        assert!(steps[2] * 12 > steps[3], "{steps:?}");
    }

    #[test]
    fn failures_are_named() {
        assert!(screen(93, 100, 24).contains("chat remote-server-timeout"), "{}", screen(93, 100, 24));
    }

    #[test]
    fn before_the_first_second_and_on_a_small_terminal_there_is_something() {
        assert!(screen(0, 100, 24).contains("ramp (1 of 3)"));
        assert!(!screen(50, 20, 6).is_empty());
    }
}
