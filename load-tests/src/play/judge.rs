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
    if phase.counts.broken > 0 {
        broken.push(format!("{} frames broke the wire's rules", phase.counts.broken));
    }
    broken
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
