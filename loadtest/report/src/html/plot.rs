//! Plots over an axis: geometry as SVG that stretches with the page, everything to read beside it as HTML that does not.

use std::fmt::Write as _;

use super::escape;
use crate::words;

/// Geometry is in these units, wherever it is drawn.
pub(super) const WIDTH: f64 = 1000.0;
pub(super) const HEIGHT: f64 = 300.0;

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// From zero.
    Linear { max: f64, step: f64 },
    /// Decades.
    Log { min: f64, max: f64 },
}

/// What values are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unit {
    Micros,
    Count,
    PerSecond,
    Bytes,
    BytesPerSecond,
    Cores,
}

/// A line, or the upper edge of an area.
pub(super) struct Series {
    pub(super) name: String,
    /// CSS classes of its colour and kind: `c0` to `c7`, `b0` to `b3`; `area`, `line`, `thin`.
    pub(super) class: String,
    pub(super) unit: Unit,
    pub(super) values: Vec<Option<f64>>,
    /// What is read out, if not the values that are drawn.
    pub(super) said: Option<Vec<Option<f64>>>,
    /// For an area: its lower edge; else the axis.
    pub(super) base: Option<Vec<Option<f64>>>,
    /// Drawn on the scale of the right side.
    pub(super) right: bool,
    /// Not drawn until it is asked for.
    pub(super) hidden: bool,
}

/// One plot. Positions are along the axis, 0 to 1.
pub(super) struct Plot<'a> {
    pub(super) id: &'a str,
    pub(super) positions: &'a [f64],
    /// What the reader is told of each position.
    pub(super) labels: &'a [String],
    pub(super) series: &'a [Series],
    pub(super) scale: Scale,
    pub(super) right: Option<Scale>,
    pub(super) ticks: &'a [(f64, String)],
    /// Phases: from, to, name.
    pub(super) stretches: &'a [(f64, f64, String)],
    pub(super) marks: &'a [(f64, String)],
}

impl Scale {
    /// Ends at a round number that is not below any value.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        Self::linear_in(1.0, values)
    }

    /// The same for bytes, in whose units a thousand is 1024.
    pub(super) fn bytes(values: impl Iterator<Item = f64> + Clone) -> Self {
        let most = values.clone().fold(1.0, f64::max);
        Self::linear_in(1024_f64.powf(most.log(1024.0).floor()), values)
    }

    fn linear_in(unit: f64, values: impl Iterator<Item = f64>) -> Self {
        let most = values.fold(0.0, f64::max) / unit;
        if most <= 0.0 {
            return Self::Linear { max: unit, step: unit };
        }
        let step = step(most / 5.0);
        Self::Linear { max: unit * step * (most / step).ceil(), step: unit * step }
    }

    /// From a round number that is not above any value to one that is not below, two decades at least.
    pub(super) fn log(values: impl Iterator<Item = f64> + Clone) -> Self {
        let least = values.clone().filter(|&value| value > 0.0).fold(f64::INFINITY, f64::min);
        let most = values.fold(0.0, f64::max);
        if most <= 0.0 {
            return Self::Log { min: 1.0, max: 100.0 };
        }
        let max = step(most);
        // Mirrored, the next above is the next below: 1, 2 and 5 become 1, 5 and 2.
        Self::Log { min: (1.0 / step(1.0 / least)).min(max / 100.0), max }
    }

    /// From the top, 0 to 1.
    fn depth(self, value: f64) -> f64 {
        let height = match self {
            Self::Linear { max, .. } => value / max,
            Self::Log { min, max } => (value.max(min) / min).ln() / (max / min).ln(),
        };
        1.0 - height.clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { max, step } => {
                (0..=8_u32).map(|n| f64::from(n) * step).take_while(|&value| value <= max * 1.000_1).collect()
            }
            Self::Log { min, max } => {
                let first = (min * 0.999_9).log10().ceil();
                let decades = (0..12_u32).map(|n| 10_f64.powf(first + f64::from(n)));
                decades.take_while(|&value| value <= max * 1.000_1).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, not below.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|times| times * power)
        .find(|&step| step >= least * 0.999_9)
        .unwrap_or(10.0 * power)
}

impl Unit {
    pub(super) fn say(self, value: f64) -> String {
        match self {
            Self::Micros => words::micros(value),
            Self::Count | Self::Cores => words::short(value),
            Self::PerSecond => format!("{}/s", words::short(value)),
            Self::Bytes => words::bytes(value),
            Self::BytesPerSecond => format!("{}/s", words::bytes(value)),
        }
    }
}

impl Series {
    pub(super) fn line(name: &str, class: &str, unit: Unit, values: Vec<Option<f64>>) -> Self {
        let class = format!("line {class}");
        Self {
            name: name.to_owned(),
            class,
            unit,
            values,
            said: None,
            base: None,
            right: false,
            hidden: false,
        }
    }

    pub(super) fn area(name: &str, class: &str, unit: Unit, values: Vec<Option<f64>>) -> Self {
        Self { class: format!("area {class}"), ..Self::line(name, "", unit, values) }
    }

    pub(super) fn above(self, base: Vec<Option<f64>>) -> Self {
        Self { base: Some(base), ..self }
    }

    pub(super) fn on_the_right(self) -> Self {
        Self { right: true, ..self }
    }
}

impl Plot<'_> {
    /// The legend, which also reads out values, and the plot.
    pub(super) fn draw(&self) -> String {
        let mut out = format!("<div class=plot id=\"{}\">", escape(self.id));
        self.legend(&mut out);
        out.push_str("<div class=frame><div class=left>");
        heights(self.scale, self.unit(false), &mut out);
        out.push_str("</div><div class=canvas>");
        self.behind(&mut out);
        let _ =
            write!(out, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=none aria-hidden=true>");
        for tick in self.scale.ticks() {
            let y = self.scale.depth(tick) * HEIGHT;
            let _ = write!(out, "<path class=grid d=\"M0 {y:.1}H{WIDTH}\"/>");
        }
        for (at, series) in self.series.iter().enumerate() {
            let hidden = if series.hidden { " off" } else { "" };
            let _ = write!(
                out,
                "<path data-s={at} class=\"{}{hidden}\" d=\"{}\"/>",
                series.class,
                self.path(series)
            );
        }
        out.push_str("</svg><div class=cross hidden></div></div><div class=right>");
        if let Some(right) = self.right {
            heights(right, self.unit(true), &mut out);
        }
        out.push_str("</div><div class=below>");
        for (at, label) in self.ticks {
            let _ = write!(out, "<span style=\"left:{:.2}%\">{}</span>", at * 100.0, escape(label));
        }
        out.push_str("</div></div>");
        self.data(&mut out);
        out.push_str("</div>");
        out
    }

    fn legend(&self, out: &mut String) {
        out.push_str("<div class=legend><span class=when></span>");
        for (at, series) in self.series.iter().enumerate() {
            let pressed = !series.hidden;
            let _ = write!(
                out,
                "<button type=button data-s={at} aria-pressed={pressed}><i class=\"key {}\"></i>{} <b></b></button>",
                series.class,
                escape(&series.name)
            );
        }
        out.push_str("</div>");
    }

    /// Phases and marks.
    fn behind(&self, out: &mut String) {
        for (from, to, name) in self.stretches {
            let (left, width) = (from * 100.0, (to - from) * 100.0);
            let name = escape(name);
            let _ = write!(
                out,
                "<div class=stretch style=\"left:{left:.2}%;width:{width:.2}%\" title=\"{name}\"><span>{name}</span></div>"
            );
        }
        for (at, what) in self.marks {
            // Beside what it caused, not over it.
            let side = if *at > 0.15 { " before" } else { "" };
            let (at, what) = (at * 100.0, escape(what));
            let _ = write!(
                out,
                "<div class=\"mark{side}\" style=\"left:{at:.2}%\" title=\"{what}\"><span>{what}</span></div>"
            );
        }
    }

    fn path(&self, series: &Series) -> String {
        let scale = self.right.filter(|_| series.right).unwrap_or(self.scale);
        let mut path = String::new();
        let mut at = 0;
        while at < series.values.len() {
            let length = series.values[at..].iter().take_while(|value| value.is_some()).count();
            if length > 0 {
                self.part(series, scale, at..at + length, &mut path);
            }
            at += length.max(1);
        }
        path
    }

    /// A part without gaps. One value alone is drawn as wide as it lasted.
    fn part(&self, series: &Series, scale: Scale, range: std::ops::Range<usize>, path: &mut String) {
        let half = 0.4 / self.positions.len().max(2) as f64;
        let wide = range.len() == 1;
        let edge = |values: &[Option<f64>]| -> Vec<(f64, f64)> {
            let point = |at: usize| {
                let y = scale.depth(values.get(at).copied().flatten().unwrap_or(0.0)) * HEIGHT;
                (self.positions[at], y)
            };
            let points = range.clone().map(point);
            if wide {
                points.flat_map(|(x, y)| [(x - half, y), (x + half, y)]).collect()
            } else {
                points.collect()
            }
        };
        let mut draw = |points: &mut dyn Iterator<Item = (f64, f64)>, mut command: char| {
            for (x, y) in points {
                let _ = write!(path, "{command}{:.1} {y:.1}", x * WIDTH);
                command = 'L';
            }
        };
        let upper = edge(&series.values);
        draw(&mut upper.iter().copied(), 'M');
        if series.class.contains("area") {
            let lower = series.base.as_ref().map(|base| edge(base));
            let flat = upper.iter().map(|&(x, _)| (x, HEIGHT)).collect();
            draw(&mut lower.unwrap_or(flat).into_iter().rev(), 'L');
            path.push('Z');
        }
    }

    /// What the script reads out: labels, and each series' values in words.
    fn data(&self, out: &mut String) {
        let said: Vec<Vec<Option<String>>> = self
            .series
            .iter()
            .map(|series| {
                let values = series.said.as_ref().unwrap_or(&series.values);
                values.iter().map(|value| value.map(|value| series.unit.say(value))).collect()
            })
            .collect();
        let positions: Vec<f64> = self.positions.iter().map(|at| (at * 1e4).round() / 1e4).collect();
        let data = serde_json::json!({ "x": positions, "t": self.labels, "s": said });
        let _ = write!(
            out,
            "<script type=\"application/json\">{}</script>",
            data.to_string().replace('<', "\\u003c")
        );
    }

    fn unit(&self, right: bool) -> Unit {
        self.series.iter().find(|series| series.right == right).map_or(Unit::Count, |series| series.unit)
    }
}

fn heights(scale: Scale, unit: Unit, out: &mut String) {
    for tick in scale.ticks() {
        let top = scale.depth(tick) * 100.0;
        let _ = write!(out, "<span style=\"top:{top:.1}%\">{}</span>", escape(&unit.say(tick)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_scales_end_round_and_begin_at_zero() {
        let scale = Scale::linear([3.0, 870.0].into_iter());
        assert_eq!(scale, Scale::Linear { max: 1000.0, step: 200.0 });
        assert_eq!(scale.ticks(), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert_eq!(Scale::linear(std::iter::empty()), Scale::Linear { max: 1.0, step: 1.0 });
        let mebibyte = 1_048_576.0;
        let scale = Scale::bytes([190.0 * mebibyte].into_iter());
        assert_eq!(scale, Scale::Linear { max: 200.0 * mebibyte, step: 50.0 * mebibyte });
    }

    #[test]
    fn log_scales_end_round_with_a_tick_at_each_decade() {
        let Scale::Log { min, max } = Scale::log([35.0, 4200.0].into_iter()) else {
            panic!("not a log scale")
        };
        assert!((min - 20.0).abs() < 1e-9 && (max - 5000.0).abs() < 1e-9, "{min} {max}");
        let scale = Scale::Log { min, max };
        let ticks: Vec<f64> = scale.ticks().into_iter().map(f64::round).collect();
        assert_eq!(ticks, [100.0, 1000.0]);
        assert!((scale.depth(min) - 1.0).abs() < 1e-9 && scale.depth(max).abs() < 1e-9);
        assert!((scale.depth(0.0) - 1.0).abs() < 1e-9, "zero lies on the axis");
    }

    #[test]
    fn a_gap_is_a_gap() {
        let series = Series::line("a", "c0", Unit::Count, vec![Some(1.0), Some(1.0), None, Some(1.0)]);
        let plot = Plot {
            id: "p",
            positions: &[0.0, 0.25, 0.5, 0.75],
            labels: &[],
            series: &[],
            scale: Scale::Linear { max: 1.0, step: 1.0 },
            right: None,
            ticks: &[],
            stretches: &[],
            marks: &[],
        };
        let path = plot.path(&series);
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert!(path.starts_with("M0.0 0.0L250.0 0.0M650.0 0.0L850.0 0.0"), "{path}");
    }
}
