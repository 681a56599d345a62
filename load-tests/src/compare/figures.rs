//! What two runs are compared by.

use super::part::Part;
use crate::{
    measure::Timing,
    report::{
        Costs, Report,
        number::{self, ratio, real},
    },
};

/// The name of the figure of all checks together.
pub(super) const CHECKS: &str = "checks that held";

/// What is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// As latencies and costs.
    Less,
    /// As throughput.
    More,
    /// Not for this to say, such as the clients' own cost.
    Neither,
}

/// How the second run's figure stands against the first one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// By more than the threshold.
    Worse,
    /// By more than the threshold.
    Better,
    /// Within it.
    Same,
    /// The first run has no such figure, or it is not for this to say.
    Shown,
}

/// One figure of both runs; `None` where a run has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// `ms`, `1/s`, `%`, `µs`, `MiB`.
    pub unit: &'static str,
    /// What is better.
    pub better: Better,
    /// Of the first run.
    pub before: Option<f64>,
    /// Of the second one.
    pub after: Option<f64>,
}

impl Figure {
    /// The second run's by the first one's.
    pub fn ratio(&self) -> Option<f64> {
        let (before, after) = (self.before?, self.after?);
        (before > 0.0).then(|| after / before)
    }

    /// Worse or better by more than `threshold` times; latencies only by `floor_ms` at least. What is not there any more is
    /// worse: nothing was delivered, or nobody came back.
    pub fn verdict(&self, threshold: f64, floor_ms: f64) -> Verdict {
        let (before, after) = match (self.before, self.after) {
            (None, _) => return Verdict::Shown,
            (Some(_), None) if self.better != Better::Neither => return Verdict::Worse,
            (Some(_), None) => return Verdict::Shown,
            (Some(before), Some(after)) => (before, after),
        };
        let (good, bad) = match self.better {
            Better::Less => (before, after),
            Better::More => (after, before),
            Better::Neither => return Verdict::Shown,
        };
        if self.unit == "ms" && (before - after).abs() < floor_ms {
            Verdict::Same
        } else if bad > good * threshold {
            Verdict::Worse
        } else if good > bad * threshold {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }

    /// A value as it is shown.
    pub fn text(&self, value: Option<f64>) -> String {
        value.map_or_else(|| "–".into(), |value| number::with_unit(value, self.unit))
    }
}

/// All figures that at least one of two runs has; what both have none of is left out.
pub fn figures(before: &Report, after: &Report) -> Vec<Figure> {
    let (before, after) = (Part::of(before, after), Part::of(after, before));
    let mut all = Vec::new();
    let mut figure = |name: &str, unit, better, of: &dyn Fn(&Part<'_>) -> Option<f64>| {
        let (before, after) = (of(&before), of(&after));
        if before.or(after).is_some() && (before, after) != (Some(0.0), Some(0.0)) {
            all.push(Figure {
                name: name.to_owned(),
                unit,
                better,
                before,
                after,
            });
        }
    };
    figure(CHECKS, "%", Better::More, &|part| checks(part.report));
    let held = before.report.held.iter().chain(&after.report.held);
    let mut repeated: Vec<&str> = held.map(|held| held.phase.as_str()).collect();
    repeated.sort_unstable();
    repeated.dedup();
    for phase in repeated {
        let of = |part: &Part<'_>| {
            let mut all = part.report.held.iter();
            all.find(|held| held.phase == phase).cloned()
        };
        figure(
            &format!("held, messages/s ({phase})"),
            "1/s",
            Better::More,
            &|part| Some(of(part)?.messages_per_second),
        );
        figure(
            &format!("held, connections ({phase})"),
            "",
            Better::More,
            &|part| Some(f64::from(of(part)?.connections)),
        );
    }
    figure("offered", "1/s", Better::Neither, &|part| {
        rate(part, part.counts.offered)
    });
    figure("committed", "1/s", Better::More, &|part| {
        rate(part, part.counts.committed)
    });
    figure("committed of offered", "%", Better::More, &|part| {
        let counts = &part.counts;
        (counts.offered > 0).then(|| 100.0 * ratio(real(counts.committed), real(counts.offered)))
    });
    figure("delivered", "1/s", Better::More, &|part| {
        rate(part, part.counts.delivered)
    });
    for timing in Timing::ALL {
        for (label, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let name = format!("{} {label}", timing.name());
            // Where nobody was cut off there is nobody to come back: that is no loss.
            let better = if timing == Timing::Reconnect && after.counts.lost + after.counts.cut == 0 {
                Better::Neither
            } else {
                Better::Less
            };
            figure(&name, "ms", better, &|part| {
                part.latencies.quantile_ms(timing, quantile)
            });
        }
    }
    let mut cost = |name: &str, unit, better, of: &dyn Fn(&Costs) -> f64| {
        figure(name, unit, better, &|part| known(of(&Costs::of(part.report))));
    };
    let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
    cost(
        "server processor a delivery",
        "µs",
        Better::Less,
        &Costs::server_us_per_delivery,
    );
    cost(
        "clients' processor a delivery",
        "µs",
        Better::Neither,
        &Costs::clients_us_per_delivery,
    );
    cost("node memory a connection", "MiB", Better::Less, &|costs| {
        mebibytes(costs.node_bytes_per_connection())
    });
    cost("clients' memory a connection", "MiB", Better::Neither, &|costs| {
        mebibytes(costs.client_bytes_per_connection())
    });
    all
}

/// A cost is 0 where it is not known.
fn known(value: f64) -> Option<f64> {
    (value > 0.0).then_some(value)
}

fn rate(part: &Part<'_>, count: u64) -> Option<f64> {
    (part.seconds > 0.0).then(|| ratio(real(count), part.seconds))
}

/// Those that held, of a hundred.
fn checks(report: &Report) -> Option<f64> {
    let held = report.checks.iter().filter(|check| check.passed).count();
    let all = report.checks.len();
    (all > 0).then(|| 100.0 * ratio(real(held as u64), real(all as u64)))
}
