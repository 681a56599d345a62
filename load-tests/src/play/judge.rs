//! What had to hold, and whether it did.

use crate::{
    measure::{Counts, Timing},
    report::{Check, PhaseReport},
    scenario::Goals,
};

/// What did not hold in a phase, in words.
pub(super) fn broken(goals: &Goals, phase: &PhaseReport) -> Vec<String> {
    let mut broken: Vec<String> = checks(goals, phase)
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.detail)
        .collect();
    let counts = &phase.counts;
    for (count, what) in [
        (counts.broken, "frames broke the wire's rules"),
        (counts.lost, "connections were lost"),
        (counts.requests_failed, "HTTP requests failed"),
    ] {
        if count > 0 {
            broken.push(format!("{count} {what}"));
        }
    }
    broken
}

/// What has to hold in any run, but for what happened when a repeated phase was too much: such as these `counts`.
pub(super) fn always(counts: &Counts) -> [Check; 2] {
    [
        Check::new(
            "no connection was lost",
            counts.lost == 0,
            format!(
                "{} of {} connections ended against the client's will; {} were cut on purpose, {} were asked to move",
                counts.lost, counts.connected, counts.cut, counts.goaways
            ),
        ),
        Check::new(
            "no HTTP request failed",
            counts.requests_failed == 0,
            format!(
                "{} of {} failed",
                counts.requests_failed,
                counts.requests + counts.requests_failed
            ),
        ),
    ]
}

/// The goals, in one phase.
pub(super) fn checks(goals: &Goals, phase: &PhaseReport) -> Vec<Check> {
    let waits = [
        (
            "messages are shown in time",
            Timing::Delivery,
            goals.delivery_p99_ms,
        ),
        ("commands are answered in time", Timing::Ack, goals.ack_p99_ms),
        (
            "connections are welcomed in time",
            Timing::Connect,
            goals.connect_p99_ms,
        ),
        (
            "who was cut off is back in time",
            Timing::Reconnect,
            goals.reconnect_p99_ms,
        ),
    ];
    let mut checks: Vec<Check> = waits
        .into_iter()
        .filter_map(|(name, timing, goal)| Some(in_time(name, timing, goal?, phase)))
        .collect();
    if let Some(goal) = goals.committed_share {
        checks.push(committed(goal, phase));
    }
    checks
}

/// Something that takes so long at most, 99 times of 100; also if it never happened, which is then said.
fn in_time(name: &str, timing: Timing, goal: f64, phase: &PhaseReport) -> Check {
    let name = format!("{name} ({})", phase.name);
    let what = timing.name();
    match phase.latencies.quantile_ms(timing, 0.99) {
        Some(ms) => Check::new(
            &name,
            ms <= goal,
            format!("p99 of {what} in {}: {ms:.1} ms; at most {goal} ms", phase.name),
        ),
        None => Check::new(&name, false, format!("no {what} was measured in {}", phase.name)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share")]
fn committed(goal: f64, phase: &PhaseReport) -> Check {
    let Counts {
        offered, committed, ..
    } = phase.counts;
    let share = committed as f64 / (offered as f64).max(1.0);
    Check::new(
        &format!("what is offered is committed ({})", phase.name),
        share >= goal,
        format!(
            "{committed} of {offered} committed in {} ({:.1} %); at least {:.1} %",
            phase.name,
            100.0 * share,
            100.0 * goal
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Latencies;

    #[test]
    fn what_is_lost_or_fails_fails_the_run_and_ends_a_ramp() {
        let passed = |counts: &Counts| always(counts).map(|check| check.passed);
        let fine = Counts {
            connected: 10,
            cut: 10,
            goaways: 3,
            requests: 5,
            ..Counts::default()
        };
        assert_eq!(passed(&fine), [true, true]);
        let lost = Counts { lost: 1, ..fine };
        assert_eq!(passed(&lost), [false, true]);
        let failed = Counts {
            requests_failed: 1,
            ..fine
        };
        assert_eq!(passed(&failed), [true, false]);
        assert!(always(&failed)[1].detail.contains("1 of 6"));
        let step = |counts| PhaseReport {
            name: "step 1".into(),
            from_s: 0.0,
            to_s: 1.0,
            counts,
            latencies: Latencies::default(),
        };
        let goals = Goals::default();
        assert!(broken(&goals, &step(fine)).is_empty());
        assert_eq!(broken(&goals, &step(lost)), ["1 connections were lost"]);
        assert_eq!(broken(&goals, &step(failed)), ["1 HTTP requests failed"]);
    }
}
