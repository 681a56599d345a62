//! A chart over time: lines, or layers on one another.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::scale::{Scale, times};
use crate::report::{Mark, PhaseReport, Point, Report, number};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 254.0;
/// The plot inside the picture: left, right, top, bottom.
const PLOT: (f64, f64, f64, f64) = (54.0, 618.0, 32.0, 224.0);
/// Points of one line that are drawn at most.
const POINTS: f64 = 400.0;
/// Marks that are closer have no number of their own.
const MARK_WIDTH: f64 = 15.0;
/// Rows of the table beside a chart at most.
const ROWS: usize = 24;

/// How values become a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines over a linear axis.
    Lines,
    /// Lines over an axis by powers of ten.
    Log,
    /// Areas on one another.
    Layers,
}

/// One line of a chart.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) points: Vec<Point>,
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) unit: String,
    pub(super) form: Form,
    pub(super) lines: Vec<Line>,
}

impl Chart {
    /// The chart with its legend, and its values as a table.
    pub(super) fn draw(mut self, report: &Report) -> Markup {
        let seconds = report.run.seconds.max(1e-3);
        let bucket = (seconds / POINTS).max(0.25);
        for line in &mut self.lines {
            line.points = thinned(&line.points, bucket, self.form == Form::Log);
        }
        self.lines.retain(|line| !line.points.is_empty());
        if self.form == Form::Layers {
            self.align(bucket);
        }
        let data = Data::of(&self, report, seconds);
        html! {
            figure id=(self.id) data-chart=(data) {
                figcaption {
                    h3 { (self.title) @if !self.unit.is_empty() { span.note { ", " (self.unit) } } }
                    (self.legend())
                }
                (self.picture(report, seconds))
                (self.table(seconds))
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            @if self.lines.iter().any(|line| !line.label.is_empty()) {
                ul.legend {
                    @for (at, line) in self.lines.iter().enumerate() {
                        li { span.swatch.(colour(at)) {} (line.label) }
                    }
                }
            }
        }
    }

    fn picture(&self, report: &Report, seconds: f64) -> Markup {
        let across = Scale::linear(seconds, (PLOT.0, PLOT.1), false);
        let up = self.up();
        html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.described()) {
                (phases(&report.phases, &across))
                (grid(&across, &up, seconds))
                @for (at, line) in self.lines.iter().enumerate().rev() {
                    @if self.form == Form::Layers {
                        path.area.(colour(at)) d=(self.area(at, &across, &up)) {}
                    } @else {
                        path.line.(colour(at)) d=(path(&line.points, &across, &up)) {}
                    }
                }
                (marks(&report.marks, &across))
                line.cursor x1="0" x2="0" y1=(PLOT.2) y2=(PLOT.3) {}
            }
        }
    }

    fn up(&self) -> Scale {
        let values = self
            .lines
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.1));
        let places = (PLOT.3, PLOT.2);
        match self.form {
            Form::Lines => Scale::linear(values.fold(0.0, f64::max), places, true),
            Form::Log => {
                let positive = values.filter(|value| *value > 0.0);
                let (least, most) = positive.fold((f64::MAX, 0.0_f64), |(least, most), value| {
                    (least.min(value), most.max(value))
                });
                Scale::log(least.min(most.max(1e-6)), most, places)
            }
            Form::Layers => {
                let points = self.lines.first().map_or(0, |line| line.points.len());
                let sums = (0..points).map(|at| self.lines.iter().map(|line| line.points[at].1).sum());
                Scale::linear(sums.fold(0.0, f64::max), places, true)
            }
        }
    }

    /// Gives all lines a point at every time that any of them has one.
    fn align(&mut self, bucket: f64) {
        let mut all: Vec<f64> = self
            .lines
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.0))
            .collect();
        all.sort_by(f64::total_cmp);
        all.dedup_by(|next, kept| *next - *kept < bucket / 2.0);
        for line in &mut self.lines {
            let points = &line.points;
            let at = |time: f64| {
                let until = points.partition_point(|point| point.0 < time + bucket / 2.0);
                Point(time, points[..until].last().map_or(0.0, |point| point.1))
            };
            line.points = all.iter().map(|time| at(*time)).collect();
        }
    }

    /// The layer of one line, above the layers of those before it.
    fn area(&self, of: usize, across: &Scale, up: &Scale) -> String {
        let below = |at: usize, lines: usize| {
            self.lines[..lines]
                .iter()
                .map(|line| line.points[at].1)
                .sum::<f64>()
        };
        let points = &self.lines[of].points;
        let top = points
            .iter()
            .enumerate()
            .map(|(at, point)| (point.0, below(at, of + 1)));
        let bottom = points
            .iter()
            .enumerate()
            .rev()
            .map(|(at, point)| (point.0, below(at, of)));
        let mut d = String::new();
        for (at, (time, value)) in top.chain(bottom).enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            let _ = write!(d, "{letter}{:.1} {:.1}", across.place(time), up.place(value));
        }
        d.push('Z');
        d
    }

    fn described(&self) -> String {
        let lines: Vec<String> = self
            .lines
            .iter()
            .map(|line| {
                let most = line.points.iter().map(|point| point.1).fold(0.0, f64::max);
                format!("{} at most {}", line.label, number::with_unit(most, &self.unit))
                    .trim_start()
                    .to_owned()
            })
            .collect();
        format!("{} over time: {}", self.title, lines.join("; "))
    }

    fn table(&self, seconds: f64) -> Markup {
        let rows: Vec<f64> = times(seconds, 20.0).into_iter().take(ROWS).collect();
        html! {
            details {
                summary { "as a table" }
                div.scroll { table {
                    thead { tr { th scope="col" { "at" } @for line in &self.lines { th scope="col" { (line.label) } } } }
                    tbody {
                        @for at in rows {
                            tr {
                                th scope="row" { (number::moment(at)) }
                                @for line in &self.lines {
                                    td { @if let Some(value) = near(&line.points, at, seconds) { (number::with_unit(value, &self.unit)) } }
                                }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// The values for the script that shows them where the pointer is.
#[derive(serde::Serialize)]
struct Data<'a> {
    seconds: f64,
    /// Where the plot begins and ends, in the picture's own pixels.
    plot: (f64, f64),
    unit: &'a str,
    /// Whether a line at zero is not there.
    layers: bool,
    lines: Vec<(&'a str, Vec<Point>)>,
    marks: Vec<(f64, &'a str)>,
}

impl<'a> Data<'a> {
    fn of(chart: &'a Chart, report: &'a Report, seconds: f64) -> String {
        let lines = chart.lines.iter().map(|line| {
            let points = line
                .points
                .iter()
                .map(|point| Point(digits(point.0), digits(point.1)));
            (line.label.as_str(), points.collect())
        });
        let data = Self {
            seconds,
            plot: (PLOT.0 / WIDTH, PLOT.1 / WIDTH),
            unit: &chart.unit,
            layers: chart.form == Form::Layers,
            lines: lines.collect(),
            marks: report
                .marks
                .iter()
                .map(|mark| (digits(mark.at_s), mark.text.as_str()))
                .collect(),
        };
        serde_json::to_string(&data).unwrap_or_default()
    }
}

/// Four digits that matter.
fn digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let factor = 10_f64.powf(3.0 - value.abs().log10().floor());
    (value * factor).round() / factor
}

/// One point for each bucket: the highest of its values, or their mean.
fn thinned(points: &[Point], bucket: f64, highest: bool) -> Vec<Point> {
    let mut thin: Vec<(f64, Point, f64)> = Vec::new();
    for point in points {
        let number = (point.0 / bucket).floor();
        match thin.last_mut() {
            Some((last, kept, count)) if (*last - number).abs() < 0.5 => {
                *count += 1.0;
                kept.1 = if highest {
                    kept.1.max(point.1)
                } else {
                    kept.1 + (point.1 - kept.1) / *count
                };
            }
            _ => thin.push((number, *point, 1.0)),
        }
    }
    thin.into_iter().map(|(_, point, _)| point).collect()
}

/// A gap that is longer than this is no longer bridged by a line.
fn gap(points: &[Point]) -> f64 {
    let mut steps: Vec<f64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    steps.sort_by(f64::total_cmp);
    5.0 * steps.get(steps.len() / 2).copied().unwrap_or(1.0)
}

fn path(points: &[Point], across: &Scale, up: &Scale) -> String {
    let gap = gap(points);
    let mut d = String::new();
    let mut before = f64::MIN;
    for point in points {
        let letter = if point.0 - before > gap { 'M' } else { 'L' };
        let _ = write!(d, "{letter}{:.1} {:.1}", across.place(point.0), up.place(point.1));
        before = point.0;
    }
    d
}

/// The value nearest to a time, if it is near enough.
fn near(points: &[Point], at: f64, seconds: f64) -> Option<f64> {
    let nearest = points
        .iter()
        .min_by(|one, other| (one.0 - at).abs().total_cmp(&(other.0 - at).abs()))?;
    ((nearest.0 - at).abs() <= gap(points).max(seconds / 40.0)).then_some(nearest.1)
}

fn colour(at: usize) -> String {
    format!("c{}", at % 8)
}

/// The class that colours a kind of mark.
pub(super) fn tone(kind: &str) -> &'static str {
    const BAD: [&str; 7] = ["fault", "loss", "kill", "terminate", "failed", "lost", "error"];
    const GOOD: [&str; 5] = ["launch", "in_service", "healthy", "added", "healed"];
    if BAD.iter().any(|word| kind.contains(word)) {
        "tone-bad"
    } else if GOOD.iter().any(|word| kind.contains(word)) {
        "tone-good"
    } else {
        "tone-other"
    }
}

fn phases(phases: &[PhaseReport], across: &Scale) -> Markup {
    html! {
        @for (at, phase) in phases.iter().enumerate() {
            @let (from, to) = (across.place(phase.from_s), across.place(phase.to_s));
            g.phase {
                title { (phase.name) }
                rect class=(if at % 2 == 0 { "even" } else { "odd" }) x=(round(from)) width=(round(to - from)) y=(PLOT.2) height=(PLOT.3 - PLOT.2) {}
                @if let Some(name) = fitting(&phase.name, to - from) {
                    text x=(round(from + 3.0)) y=(PLOT.2 - 18.0) { (name) }
                }
            }
        }
    }
}

/// As much of a name as has space.
fn fitting(name: &str, width: f64) -> Option<String> {
    let mut kept = String::new();
    for letter in name.chars() {
        if number::real(kept.chars().count() as u64 + 2) * 6.2 > width {
            kept.pop();
            kept.push('…');
            break;
        }
        kept.push(letter);
    }
    (kept.chars().count() > 1).then_some(kept)
}

fn marks(marks: &[Mark], across: &Scale) -> Markup {
    let mut numbered = f64::MIN;
    let numbered: Vec<bool> = marks
        .iter()
        .map(|mark| {
            let x = across.place(mark.at_s);
            let space = x - numbered >= MARK_WIDTH;
            if space {
                numbered = x;
            }
            space
        })
        .collect();
    html! {
        @for (at, mark) in marks.iter().enumerate() {
            @let x = round(across.place(mark.at_s));
            g.mark.(tone(&mark.kind)) {
                title { (at + 1) " · " (number::moment(mark.at_s)) " · " (mark.kind) ": " (mark.text) }
                line x1=(x) x2=(x) y1=(PLOT.2) y2=(PLOT.3) {}
                @if numbered[at] { text x=(x) y=(PLOT.2 - 4.0) { (at + 1) } }
            }
        }
    }
}

fn grid(across: &Scale, up: &Scale, seconds: f64) -> Markup {
    html! {
        g.grid {
            @for tick in up.ticks() {
                @let y = round(up.place(tick));
                line x1=(PLOT.0) x2=(PLOT.1) y1=(y) y2=(y) {}
                text.value x=(PLOT.0 - 6.0) y=(round(up.place(tick) + 4.0)) { (label(tick)) }
            }
            @for tick in times(seconds, 7.0) {
                @let x = round(across.place(tick));
                line.tick x1=(x) x2=(x) y1=(PLOT.3) y2=(PLOT.3 + 4.0) {}
                text.time x=(x) y=(PLOT.3 + 21.0) { (number::moment(tick)) }
            }
        }
    }
}

/// A value beside the axis, as short as can be.
pub(super) fn label(value: f64) -> String {
    let (value, suffix) = match value {
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let digits = format!("{value:.4}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}{suffix}")
}

fn round(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}
