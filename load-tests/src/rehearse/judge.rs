//! What had to hold, and whether it did.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use super::Without;
use crate::{
    check,
    measure::{Counts, Latencies, Timing},
    report::{Check, Report},
    rolling::Probed,
};

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

/// How long people waited while the cluster was changed on purpose.
pub(crate) fn waits_held(latencies: &Latencies, most_ms: f64) -> Check {
    let mut held = true;
    let mut details = Vec::new();
    for timing in [Timing::Ack, Timing::Delivery] {
        let p99 = latencies.quantile_ms(timing, 0.99);
        held &= p99.is_some_and(|p99| p99 <= most_ms);
        let said = p99.map_or_else(|| "none".to_owned(), |p99| format!("{p99:.1} ms"));
        details.push(format!("{} p99 {said}", timing.name()));
    }
    let detail = format!("{}; at most {most_ms:.0} ms", details.join(", "));
    Check::new("waits held while scaling", held, detail)
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

/// Nobody was cut off in a phase in which instances leave; `in_order`: how many of them ended as they should, where that is
/// known.
pub(crate) fn moved(name: &str, counts: Counts, left: usize, in_order: Option<usize>) -> Check {
    let order = in_order.map_or_else(String::new, |in_order| format!(", {in_order} in good order"));
    let detail = format!(
        "{left} instances left{order}; {} connections asked to move, {} lost",
        counts.goaways, counts.lost
    );
    let all_in_order = in_order.is_none_or(|in_order| in_order == left);
    Check::new(name, counts.lost == 0 && left > 0 && all_in_order, detail)
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
    fn waits_are_held_against_the_slowest_percent() {
        let mut latencies = Latencies::default();
        assert!(
            !waits_held(&latencies, 100.0).passed,
            "nobody waited for anything"
        );
        latencies.record_many(Timing::Ack, 1_000, 1_000);
        latencies.record_many(Timing::Delivery, 50_000, 995);
        assert!(waits_held(&latencies, 100.0).passed);
        latencies.record_many(Timing::Delivery, 150_000, 15);
        assert!(!waits_held(&latencies, 100.0).passed);
    }

    #[test]
    fn an_update_in_which_nobody_left_proves_nothing() {
        let lost = Counts {
            lost: 1,
            ..Counts::default()
        };
        assert!(moved("m", Counts::default(), 2, Some(2)).passed);
        assert!(!moved("m", Counts::default(), 0, None).passed);
        assert!(!moved("m", Counts::default(), 2, Some(1)).passed);
        assert!(!moved("m", lost, 2, None).passed);
    }
}
