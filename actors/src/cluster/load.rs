//! How busy a node is.

use std::time::{Duration, Instant};

/// Shares are taken over at least this long: CPU time is counted in steps.
const SPAN: Duration = Duration::from_millis(500);

/// The share of the machine's cores that the process used between the last two looks, from 0 to 1.
pub(super) struct LoadMeter {
    cores: usize,
    last: Option<(Duration, Instant)>,
    share: f64,
}

impl LoadMeter {
    pub(super) fn new(cores: usize) -> Self {
        Self {
            cores,
            last: None,
            share: 0.0,
        }
    }

    /// Looks at the CPU time that the process has used since it began.
    #[allow(clippy::cast_precision_loss, reason = "a number of cores")]
    pub(super) fn look(&mut self, cpu: Duration, now: Instant) -> f64 {
        match self.last {
            Some((_, at)) if now - at < SPAN => {}
            Some((before, at)) => {
                let used = cpu.saturating_sub(before).as_secs_f64();
                let share = used / ((now - at).as_secs_f64() * self.cores.max(1) as f64);
                // To a thousandth: more only looks like precision.
                self.share = (share.clamp(0.0, 1.0) * 1_000.0).round() / 1_000.0;
                self.last = Some((cpu, now));
            }
            None => self.last = Some((cpu, now)),
        }
        self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_all_cores_between_two_looks() {
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        let mut meter = LoadMeter::new(2);
        let mut look = |cpu_ms, after| meter.look(Duration::from_millis(cpu_ms), begun + after);
        assert_eq!(look(5_000, Duration::ZERO), 0.0, "nothing to compare with");
        assert_eq!(look(5_500, second), 0.25);
        assert_eq!(look(9_000, second + SPAN / 2), 0.25, "too soon");
        assert_eq!(look(7_500, 2 * second), 1.0);
        assert_eq!(look(7_501, 3 * second), 0.001);
    }
}
