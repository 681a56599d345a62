//! How long things took, over the share of those that took as long: the tail is as wide as the middle.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use maud::{Markup, html};

use super::{chart::label, scale::Scale, tables::meaning};
use crate::{
    measure::Timing,
    report::{
        Report,
        number::{self, real},
    },
};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 254.0;
const PLOT: (f64, f64, f64, f64) = (54.0, 606.0, 12.0, 224.0);
/// Steps of a curve for each nine of the percentile.
const STEPS: u32 = 12;

/// One picture with a curve for each kind of wait.
pub(super) fn section(report: &Report) -> Markup {
    let curves: Vec<(Timing, &Histogram<u64>)> = Timing::ALL
        .into_iter()
        .filter_map(|timing| Some((timing, report.latencies.get(timing)?)))
        .collect();
    html! {
        @if !curves.is_empty() {
            section {
                h2 { "Distribution of waits, over the whole run, in milliseconds" }
                figure.wide #distribution {
                    figcaption {
                        ul.legend {
                            @for (at, (timing, _)) in curves.iter().enumerate() {
                                li title=(meaning(*timing)) { span.swatch.(format!("c{at}")) {} (timing.name()) }
                            }
                        }
                    }
                    (picture(&curves))
                    p.note { "Across: the share that took at most as long, each step a tenth of what was left. A curve ends at its longest wait." }
                }
            }
        }
    }
}

fn picture(curves: &[(Timing, &Histogram<u64>)]) -> Markup {
    let most = curves
        .iter()
        .map(|(_, histogram)| histogram.len())
        .max()
        .unwrap_or(1);
    let nines = real(most).log10().ceil().clamp(1.0, 7.0);
    let across = Scale::linear(nines, (PLOT.0, PLOT.1), false);
    let ms = |micros: u64| (real(micros) / 1000.0).max(0.001);
    let least = curves.iter().map(|(_, of)| ms(of.value_at_quantile(0.01)));
    let longest = curves.iter().map(|(_, of)| ms(of.max()));
    let up = Scale::log(
        least.fold(f64::MAX, f64::min),
        longest.fold(0.0, f64::max),
        (PLOT.3, PLOT.2),
    );
    let ends = curves.iter().map(|(timing, of)| {
        format!(
            "{} p99 {}",
            timing.name(),
            number::with_unit(ms(of.value_at_quantile(0.99)), "ms")
        )
    });
    let described = format!("Waits by percentile: {}", ends.collect::<Vec<_>>().join("; "));
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(described) {
            g.grid {
                @for tick in up.ticks() {
                    @let y = format!("{:.1}", up.place(tick));
                    line x1=(PLOT.0) x2=(PLOT.1) y1=(y) y2=(y) {}
                    text.value x=(PLOT.0 - 6.0) y=(format!("{:.1}", up.place(tick) + 4.0)) { (label(tick)) }
                }
                @for (at, name) in percentiles(nines) {
                    @let x = format!("{:.1}", across.place(at));
                    line x1=(x) x2=(x) y1=(PLOT.2) y2=(PLOT.3) {}
                    text.time x=(x) y=(PLOT.3 + 21.0) { (name) }
                }
            }
            @for (at, (timing, histogram)) in curves.iter().enumerate() {
                path.line.(format!("c{at}")) d=(curve(histogram, nines, &across, &up)) { title { (timing.name()) } }
            }
        }
    }
}

/// Places and names: half, and then one nine more at each.
fn percentiles(nines: f64) -> Vec<(f64, String)> {
    let more = [
        "90 %",
        "99 %",
        "99.9 %",
        "99.99 %",
        "99.999 %",
        "99.9999 %",
        "99.99999 %",
    ];
    let places = (1..8_u8).map(f64::from).zip(more.map(str::to_owned));
    let half = (2.0_f64.log10(), "50 %".to_owned());
    std::iter::once(half)
        .chain(places.take_while(|(at, _)| *at <= nines))
        .collect()
}

fn curve(histogram: &Histogram<u64>, nines: f64, across: &Scale, up: &Scale) -> String {
    // Beyond this the longest wait is all that is left.
    let end = real(histogram.len()).log10().min(nines);
    let mut d = String::new();
    let mut step = 0;
    loop {
        let at = (f64::from(step) / f64::from(STEPS)).min(end);
        let quantile = 1.0 - 10_f64.powf(-at);
        let micros = if at >= end {
            histogram.max()
        } else {
            histogram.value_at_quantile(quantile)
        };
        let letter = if step == 0 { 'M' } else { 'L' };
        let ms = real(micros) / 1000.0;
        let _ = write!(d, "{letter}{:.1} {:.1}", across.place(at), up.place(ms));
        if at >= end {
            return d;
        }
        step += 1;
    }
}
