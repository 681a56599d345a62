//! What had to hold, and whether it did.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use super::Without;
use crate::{
    check,
    measure::{Counts, Latencies, Timing},
    report::{Check, PhaseReport, Report},
    rolling::Probed,
};

/// The series of how many instances there are, and its part of those that serve.
pub(crate) const INSTANCES: &str = "instances";
pub(crate) const SERVING: &str = "in service";
/// What people wait for.
const WAITS: [Timing; 2] = [Timing::Ack, Timing::Delivery];
/// Answers from which on the slowest hundredth is more than one.
const ENOUGH: u64 = 100;

/// Nothing acknowledged or shown is lost, doubled or out of order.
pub(crate) fn nothing_lost(checked: &check::Report) -> Check {
    let counts = &checked.counts;
    let mut detail = format!(
        "{} commands ({} times again), {} acked, {} refused; ",
        counts.sent, counts.repeated, counts.acked, counts.refused
    );
    let _ = match checked.with_store {
        true => write!(detail, "{} events committed", counts.committed),
        false => write!(detail, "the store was not read"),
    };
    let _ = write!(detail, ", {} delivered", counts.delivered);
    if !checked.is_clean() {
        let _ = write!(detail, "; {}", first_lines(&checked.findings.to_string(), 4));
    }
    Check::new("nothing lost", checked.is_clean(), detail)
}

/// Everybody has everything at the end.
pub(crate) fn converged(settled: Result<(), String>, took: Duration) -> Check {
    match settled {
        Ok(()) => Check::new(
            "everybody converged",
            true,
            format!("{:.1} s after the last word", took.as_secs_f64()),
        ),
        Err(lacking) => Check::new("everybody converged", false, lacking),
    }
}

/// How long people waited while the cluster was changed on purpose: in each of these phases, or the long ones would hide the
/// short ones. What was too short for a hundred answers is judged with what came next, as one wait is more than a hundredth
/// of it.
pub(crate) fn waits_held(phases: &[PhaseReport], most_ms: f64) -> Check {
    let held = |judged: &Judged| judged.p99s().all(|p99| p99.is_some_and(|p99| p99 <= most_ms));
    let judged = long_enough(phases);
    let worst = judged.iter().max_by(|a, b| a.worst_ms().total_cmp(&b.worst_ms()));
    let detail = match worst {
        Some(worst) => format!(
            "the worst of {} phases is {}: {}; at most {most_ms:.0} ms in each",
            judged.len(),
            worst.name,
            worst.describe()
        ),
        None => "nobody waited for anything".to_owned(),
    };
    let passed = !judged.is_empty() && judged.iter().all(held);
    Check::new("waits held while scaling", passed, detail)
}

/// Waits that are judged together.
#[derive(Default)]
struct Judged {
    name: String,
    latencies: Latencies,
}

impl Judged {
    fn p99s(&self) -> impl Iterator<Item = Option<f64>> {
        WAITS
            .into_iter()
            .map(|timing| self.latencies.quantile_ms(timing, 0.99))
    }

    /// Where nobody waited for something, that is worse than any wait.
    fn worst_ms(&self) -> f64 {
        self.p99s()
            .map(|p99| p99.unwrap_or(f64::INFINITY))
            .fold(0.0, f64::max)
    }

    fn describe(&self) -> String {
        let said = WAITS.into_iter().zip(self.p99s()).map(|(timing, p99)| {
            let p99 = p99.map_or_else(|| "none".to_owned(), |p99| format!("{p99:.1} ms"));
            format!("{} p99 {p99}", timing.name())
        });
        said.collect::<Vec<_>>().join(", ")
    }

    fn add(&mut self, phase: &str, latencies: &Latencies) {
        let and = if self.name.is_empty() { "" } else { " + " };
        let _ = write!(self.name, "{and}{phase}");
        self.latencies.add(latencies);
    }

    fn is_enough(&self) -> bool {
        let answers = self.latencies.get(Timing::Ack);
        answers.is_some_and(|answers| answers.len() >= ENOUGH)
    }
}

fn long_enough(phases: &[PhaseReport]) -> Vec<Judged> {
    let mut all: Vec<Judged> = Vec::new();
    let mut open = Judged::default();
    for phase in phases {
        open.add(&phase.name, &phase.latencies);
        if open.is_enough() {
            all.push(std::mem::take(&mut open));
        }
    }
    match all.last_mut() {
        Some(last) if !open.name.is_empty() => last.add(&open.name, &open.latencies),
        None if !open.name.is_empty() => all.push(open),
        _ => {}
    }
    all
}

/// Newcomers were served whenever they came.
pub(crate) fn served(probed: &Probed) -> Check {
    let mut detail = format!("{} of {} probes failed", probed.failed, probed.all);
    if let Some(reason) = probed.reasons.first() {
        let _ = write!(detail, ": {reason}");
    }
    let served = probed.failed == 0 && probed.all > 0;
    Check::new("newcomers were always served", served, detail)
}

/// Nobody was cut off in a phase in which instances leave, and their people were asked to move; `in_order`: how many of the
/// instances ended as they should, where that is known; `took`: all of it.
pub(crate) fn moved(
    name: &str,
    counts: Counts,
    left: usize,
    in_order: Option<usize>,
    took: Duration,
) -> Check {
    let order = in_order.map_or_else(String::new, |in_order| format!(", {in_order} in good order"));
    let detail = format!(
        "{left} instances left in {:.1} s{order}; {}",
        took.as_secs_f64(),
        people(counts)
    );
    let all_in_order = in_order.is_none_or(|in_order| in_order == left);
    let moved = counts.lost == 0 && counts.goaways > 0;
    Check::new(name, moved && left > 0 && all_in_order, detail)
}

/// What became of people's connections.
pub(crate) fn people(counts: Counts) -> String {
    format!(
        "{} connections asked to move, {} lost",
        counts.goaways, counts.lost
    )
}

/// Whether something came in time.
pub(crate) fn in_time(name: &str, took: Option<Duration>, limit: Duration, what: &str) -> Check {
    let limit = limit.as_secs_f64();
    match took {
        Some(took) => {
            let took = took.as_secs_f64();
            Check::new(
                name,
                took <= limit,
                format!("{what} after {took:.1} s, limit {limit:.1} s"),
            )
        }
        None => Check::new(name, false, format!("not: {what} within {limit:.1} s")),
    }
}

/// People on a node from which on its share can be told from chance: below, a tenth, ten or three deviations are most of it.
const LEAST_SHARE: u32 = 20;

/// Refuses sizes at which so few people come on each node that [`is_even`] says nothing.
pub(crate) fn enough_people(when: &str, people: u32, nodes: usize) -> anyhow::Result<()> {
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    let least = nodes.saturating_mul(LEAST_SHARE);
    anyhow::ensure!(
        people >= least,
        "{people} connections {when} are too few to judge {nodes} nodes by: it takes {LEAST_SHARE} for each, {least} or more"
    );
    Ok(())
}

/// Whether every node that serves has its share of the people: no less below the mean than what nodes leave alone by
/// default (docs/configuration.md, `cluster.rebalance_percent`): a tenth, ten connections, and what chance makes.
#[allow(clippy::cast_precision_loss, reason = "numbers of people")]
pub(crate) fn is_even(by_node: &BTreeMap<String, u64>, serving: &[String]) -> bool {
    let of = |name: &String| by_node.get(name).copied().unwrap_or(0) as f64;
    let mean = serving.iter().map(of).sum::<f64>() / serving.len().max(1) as f64;
    let left_alone = (mean * 0.1).max(10.0).max(3.0 * mean.sqrt());
    !serving.is_empty()
        && serving
            .iter()
            .all(|name| of(name) > 0.0 && of(name) >= mean - left_alone)
}

/// Each act with what was seen in it, a line each.
pub(super) fn acts(report: &Report) -> String {
    let mut text = String::new();
    let width = report.phases.iter().map(|phase| phase.name.len()).max();
    let width = width.unwrap_or_default();
    for phase in &report.phases {
        let _ = writeln!(
            text,
            "  {:width$}  {}{:.1} s, {}",
            phase.name,
            instances(report, phase),
            phase.to_s - phase.from_s,
            people(phase.counts)
        );
    }
    text
}

/// How many instances served at the beginning of a phase and at its end, where that is known.
fn instances(report: &Report, phase: &PhaseReport) -> String {
    let points = report
        .series
        .iter()
        .find(|series| series.name == INSTANCES && series.label == SERVING);
    let points = points.map_or(&[][..], |series| &series.points);
    let at = |time: f64| {
        points
            .iter()
            .rev()
            .find(|point| point.0 <= time)
            .or(points.first())
    };
    let at = |time: f64| at(time).map(|point| format!("{:.0}", point.1));
    match (at(phase.from_s), at(phase.to_s)) {
        (Some(from), Some(to)) if from == to => format!("{to} instances, "),
        (Some(from), Some(to)) => format!("{from} to {to} instances, "),
        _ => String::new(),
    }
}

/// How it ended, in a line.
pub(super) fn verdict(report: &Report, without: Option<Without>) -> String {
    let switched_off = without.map_or(String::new(), |without| {
        format!(" (without {})", format!("{without:?}").to_lowercase())
    });
    let failed = report.checks.iter().filter(|check| !check.passed);
    let failed: Vec<&str> = failed.map(|check| check.name.as_str()).collect();
    match failed.len() {
        0 => format!("Verdict: passed{switched_off}"),
        _ => format!("Verdict: FAILED{switched_off}: {}", failed.join("; ")),
    }
}

fn first_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.iter().take(count).copied().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measure::Recording,
        report::{Point, Run},
    };

    #[test]
    fn a_node_without_people_has_not_got_its_share() {
        let by_node = |counts: &[(&str, u64)]| -> BTreeMap<String, u64> {
            counts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let serving = ["a".to_owned(), "b".to_owned()];
        assert!(is_even(&by_node(&[("a", 110), ("b", 90)]), &serving));
        assert!(!is_even(&by_node(&[("a", 140), ("b", 60)]), &serving));
        assert!(!is_even(&by_node(&[("a", 130)]), &serving));
        assert!(
            !is_even(&by_node(&[("a", 5)]), &serving),
            "few are no reason to have none"
        );
        // Who is still on a node that is gone does not count.
        assert!(is_even(&by_node(&[("a", 50), ("b", 50), ("c", 500)]), &serving));
        assert!(!is_even(&by_node(&[("a", 50)]), &[]));
    }

    #[test]
    fn each_act_is_told_with_what_was_seen() {
        let mut recording = Recording::start(Run::default(), "crowd");
        recording.value(INSTANCES, SERVING, "", 2.0);
        let mut report = recording.finish(Vec::new(), None);
        let act = |name: &str, from_s, to_s, goaways, lost| PhaseReport {
            from_s,
            to_s,
            counts: Counts {
                goaways,
                lost,
                ..Counts::default()
            },
            ..phase(name, 0, 0)
        };
        report.phases = vec![act("crowd", 0.0, 20.0, 7, 0), act("zone lost", 20.0, 35.5, 0, 90)];
        report.series[0].points = vec![
            Point(0.1, 2.0),
            Point(19.0, 3.0),
            Point(22.0, 1.0),
            Point(35.0, 3.0),
        ];
        assert_eq!(
            acts(&report),
            "  crowd      2 to 3 instances, 20.0 s, 7 connections asked to move, 0 lost\n  \
             zone lost  3 instances, 15.5 s, 0 connections asked to move, 90 lost\n"
        );
        report.series.clear();
        assert!(acts(&report).contains("crowd      20.0 s"), "not known");
    }

    #[test]
    fn sizes_that_say_nothing_are_refused() {
        assert!(enough_people("at the top", 60, 3).is_ok());
        let refused = enough_people("at the top", 59, 3).unwrap_err().to_string();
        assert!(
            refused.contains("59 connections at the top") && refused.contains("60 or more"),
            "{refused}"
        );
        // At the least that is taken, a node with one connection is found out.
        let by_node = [("a", 30), ("b", 29), ("c", 1)].map(|(name, count)| (name.to_owned(), count));
        assert!(!is_even(&by_node.into(), &["a", "b", "c"].map(str::to_owned)));
    }

    fn phase(name: &str, answers: u64, ack_ms: u64) -> PhaseReport {
        let mut latencies = Latencies::default();
        if answers > 0 {
            latencies.record_many(Timing::Ack, ack_ms * 1_000, answers);
            latencies.record_many(Timing::Delivery, 50_000, answers * 10);
        }
        PhaseReport {
            name: name.to_owned(),
            from_s: 0.0,
            to_s: 1.0,
            counts: Counts::default(),
            latencies,
        }
    }

    #[test]
    fn waits_are_held_against_the_slowest_percent() {
        assert!(!waits_held(&[], 100.0).passed);
        assert!(
            !waits_held(&[phase("rest", 0, 0)], 100.0).passed,
            "nobody waited for anything"
        );
        let mut grown = phase("grown", 1_000, 1);
        assert!(waits_held(&[grown.clone()], 100.0).passed);
        grown.latencies.record_many(Timing::Delivery, 150_000, 150);
        assert!(!waits_held(&[grown], 100.0).passed);
    }

    #[test]
    fn an_hour_of_rest_does_not_hide_a_slow_phase() {
        let phases = [
            phase("rest", 1_000_000, 1),
            phase("spread", 200, 5_000),
            phase("scale in", 1_000_000, 1),
        ];
        let check = waits_held(&phases, 500.0);
        assert!(!check.passed);
        assert!(
            check.detail.contains("is spread: ack p99 5000")
                || check.detail.contains("is spread: ack p99 5001"),
            "{}",
            check.detail
        );
    }

    #[test]
    fn a_short_phase_is_judged_with_the_next_one() {
        let (fast, slow) = (phase("a", 300, 1), phase("b", 1, 5_000));
        let (ramp, rest) = (phase("ramp", 20, 5_000), phase("rest", 0, 0));
        let last = phase("c", 300, 1);
        assert!(
            waits_held(&[fast.clone(), slow.clone(), last.clone()], 500.0).passed,
            "one of three hundred"
        );
        let check = waits_held(&[fast.clone(), ramp, last], 500.0);
        assert!(
            !check.passed && check.detail.contains("ramp + c"),
            "{}",
            check.detail
        );
        // Behind the last there is no next one.
        assert!(waits_held(&[fast, rest], 500.0).passed);
        assert!(!waits_held(&[slow], 500.0).passed);
    }

    #[test]
    fn an_update_in_which_nobody_left_proves_nothing() {
        let asked = Counts {
            goaways: 20,
            ..Counts::default()
        };
        let lost = Counts { lost: 1, ..asked };
        let took = Duration::from_secs(50);
        assert_eq!(
            moved("m", lost, 2, Some(1), took).detail,
            "2 instances left in 50.0 s, 1 in good order; 20 connections asked to move, 1 lost"
        );
        assert!(moved("m", asked, 2, Some(2), took).passed);
        assert!(!moved("m", asked, 0, None, took).passed);
        assert!(!moved("m", asked, 2, Some(1), took).passed);
        assert!(!moved("m", lost, 2, None, took).passed);
        assert!(
            !moved("m", Counts::default(), 2, Some(2), took).passed,
            "nobody was on them, or nobody was asked"
        );
    }
}
