//! Leaving quietly: all clients are asked to move, a few at a time, and are waited for.

use std::time::{Duration, Instant};

use actors::System;
use protocol::server::GoawayReason;

/// Clients are asked to move in batches, one each of this.
const STEP: Duration = Duration::from_millis(250);
/// Within a batch clients are spread over at most this.
const SPREAD: Duration = Duration::from_secs(1);
/// Share of the drain time over which clients are asked; the rest is theirs for doing it.
const PACED_SHARE: f64 = 0.75;
/// The last ones have this long, where the drain time allows for it: time to connect on a slow line and resume.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
/// Of a short drain time at least this share is used for asking.
const LEAST_PACED_SHARE: f64 = 0.25;

/// Asks all clients to move, and waits until they have, at most `patience` long. Returns how many are left.
pub(crate) async fn move_clients(system: &System, patience: Duration) -> usize {
    let connections = system.connections();
    let metrics = system.metrics();
    let begun = Instant::now();
    loop {
        let left = connections.count();
        let passed = begun.elapsed();
        if left == 0 || passed >= patience {
            return left;
        }
        let batch = batch(connections.not_asked(), patience, passed);
        let asked = connections.goaway(batch, spread_ms(patience), GoawayReason::Drain);
        metrics.connections_drained().increment(asked as u64);
        tokio::time::sleep(STEP.min(patience.saturating_sub(passed))).await;
    }
}

/// How many of `waiting` clients to ask now, so that all are asked in good time.
fn batch(waiting: usize, patience: Duration, passed: Duration) -> usize {
    let steps_left = paced(patience).saturating_sub(passed).as_millis() / STEP.as_millis() + 1;
    waiting.div_ceil(usize::try_from(steps_left).unwrap_or(usize::MAX))
}

/// How long clients are asked.
fn paced(patience: Duration) -> Duration {
    patience
        .saturating_sub(LAST_PATIENCE)
        .min(patience.mul_f64(PACED_SHARE))
        .max(patience.mul_f64(LEAST_PACED_SHARE))
}

/// Over how many milliseconds the clients of a batch are spread; a short drain leaves less.
fn spread_ms(patience: Duration) -> u64 {
    let spread = SPREAD.min(patience / 8);
    u64::try_from(spread.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each batch is asked, and how many they are.
    fn batches(clients: usize, patience: Duration) -> Vec<(Duration, usize)> {
        let mut waiting = clients;
        let mut batches = Vec::new();
        let mut passed = Duration::ZERO;
        while waiting > 0 {
            let batch = batch(waiting, patience, passed);
            batches.push((passed, batch));
            waiting -= batch;
            passed += STEP;
        }
        batches
    }

    #[test]
    fn all_are_asked_evenly_and_in_good_time() {
        for clients in [1, 7, 200, 5_000, 50_000] {
            for seconds in [1, 3, 10, 20, 60, 600] {
                let patience = Duration::from_secs(seconds);
                let batches = batches(clients, patience);
                let (last, _) = *batches.last().unwrap();
                let left = patience - last - Duration::from_millis(spread_ms(patience));
                assert!(
                    left >= (patience / 8).max(LAST_PATIENCE.min(patience / 2).saturating_sub(SPREAD)),
                    "{left:?}"
                );
                let most = batches.iter().map(|(_, batch)| *batch).max().unwrap();
                let even = clients.div_ceil(batches.len());
                assert!(most <= even + 1, "{most} at once where {even} would do");
            }
        }
    }

    #[test]
    fn a_drain_without_time_asks_everybody_at_once() {
        assert_eq!(batches(9, Duration::ZERO), [(Duration::ZERO, 9)]);
        assert_eq!(spread_ms(Duration::ZERO), 0);
    }
}
