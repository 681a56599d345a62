//! A token bucket. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Allows `rate` a second on average and bursts of `burst`.
#[derive(Debug)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How many there are before a pause, in all.
    pub limit: u32,
    /// How many of them are left.
    pub remaining: u32,
    /// With none left the time until the next one, else until all are given again.
    pub reset: Duration,
}

impl TokenBucket {
    /// A full bucket. `per_second` 0 means no limit.
    pub fn new(per_second: u32, burst_seconds: u32, now: Instant) -> Self {
        let rate = f64::from(per_second);
        let burst = rate * f64::from(burst_seconds);
        Self {
            rate,
            burst,
            tokens: burst,
            at: now,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// With the time until there is one; nothing is taken.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        if self.rate == 0.0 {
            return Ok(());
        }
        self.refill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate))
        }
    }

    /// Takes a token for what was done already, also where there is none left, and returns how long to wait before the
    /// next.
    pub fn spend(&mut self, now: Instant) -> Duration {
        if self.rate == 0.0 {
            return Duration::ZERO;
        }
        self.refill(now);
        self.tokens -= 1.0;
        Duration::from_secs_f64((-self.tokens).max(0.0) / self.rate)
    }

    /// Whether nothing was taken for so long that a new bucket would be no different.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= self.burst
    }

    /// What is left; `None` where there is no limit.
    pub fn allowance(&mut self, now: Instant) -> Option<Allowance> {
        if self.rate == 0.0 {
            return None;
        }
        self.refill(now);
        let missing = if self.tokens < 1.0 { 1.0 } else { self.burst } - self.tokens;
        Some(Allowance {
            limit: whole(self.burst),
            remaining: whole(self.tokens),
            reset: Duration::from_secs_f64(missing.max(0.0) / self.rate),
        })
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float saturates, and whole tokens are meant"
)]
fn whole(tokens: f64) -> u32 {
    tokens as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate_holds() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(50, 10, start);
        assert_eq!((0..1_000).filter(|_| bucket.take(start).is_ok()).count(), 500);
        let wait = bucket.take(start).unwrap_err();
        assert!((19..=21).contains(&wait.as_millis()), "{wait:?}");
        let later = start + Duration::from_secs(2);
        assert_eq!((0..1_000).filter(|_| bucket.take(later).is_ok()).count(), 100);
        assert!(!bucket.is_full(later));
        assert!(bucket.is_full(later + Duration::from_secs(10)));
    }

    #[test]
    fn who_waits_as_told_spends_at_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(50, 2, start);
        assert!((0..100).all(|_| bucket.spend(start).is_zero()));
        let mut now = start;
        for _ in 0..50 {
            now += bucket.spend(now);
        }
        let took = (now - start).as_millis();
        assert!((990..=1_010).contains(&took), "50 at 50 a second took {took} ms");
    }

    #[test]
    fn what_is_left_is_told() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(2, 10, start);
        let told = |limit, remaining, millis| {
            Some(Allowance {
                limit,
                remaining,
                reset: Duration::from_millis(millis),
            })
        };
        assert_eq!(bucket.allowance(start), told(20, 20, 0));
        bucket.take(start).unwrap();
        assert_eq!(bucket.allowance(start), told(20, 19, 500));
        while bucket.take(start).is_ok() {}
        assert_eq!(bucket.allowance(start), told(20, 0, 500), "until the next one");
        assert_eq!(TokenBucket::new(0, 10, start).allowance(start), None);
    }

    #[test]
    fn zero_means_no_limit() {
        let now = Instant::now();
        let mut bucket = TokenBucket::new(0, 10, now);
        assert!((0..10_000).all(|_| bucket.take(now).is_ok()));
        assert!((0..10_000).all(|_| bucket.spend(now).is_zero()));
    }
}
