//! When things are due.

use fastrand::Rng;
use tokio::time::{Duration, Instant};

/// The times of a Poisson process whose rate goes evenly from one value to another.
#[derive(Debug)]
pub struct Arrivals {
    begun: Instant,
    seconds: f64,
    from: f64,
    to: f64,
    /// Seconds since it began.
    now: f64,
    rng: Rng,
}

impl Arrivals {
    /// From `begun` on, for so many seconds; rates are a second.
    pub fn new(begun: Instant, seconds: f64, (from, to): (f64, f64), rng: Rng) -> Self {
        Self {
            begun,
            seconds,
            from,
            to,
            now: 0.0,
            rng,
        }
    }
}

impl Iterator for Arrivals {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        let most = self.from.max(self.to);
        if most <= 0.0 {
            return None;
        }
        loop {
            // Drawn at the highest rate, and thinned out to the rate of the moment.
            self.now += -(1.0 - self.rng.f64()).ln() / most;
            if self.now >= self.seconds {
                return None;
            }
            let rate = self.from + (self.to - self.from) * self.now / self.seconds;
            if self.rng.f64() * most < rate {
                return Some(self.begun + Duration::from_secs_f64(self.now));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_come_as_are_asked_for_and_when() {
        let begun = Instant::now();
        let arrivals = Arrivals::new(begun, 100.0, (0.0, 200.0), Rng::with_seed(3));
        let times: Vec<f64> = arrivals.map(|due| (due - begun).as_secs_f64()).collect();
        assert!(times.windows(2).all(|two| two[0] <= two[1]));
        let all = times.len() as f64;
        // 10,000 are expected; four standard deviations.
        assert!((all - 10_000.0).abs() < 400.0, "{all}");
        let early = times.iter().filter(|time| **time < 50.0).count() as f64;
        assert!(
            (early / all - 0.25).abs() < 0.02,
            "{early} of {all} in the first half"
        );
        assert_eq!(
            Arrivals::new(begun, 10.0, (0.0, 0.0), Rng::with_seed(1)).count(),
            0
        );
    }
}
