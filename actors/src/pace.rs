//! How often a storm of requests may become a query to the store.

use std::time::Duration;

/// Pause between two queries when requests begin to come faster than they are answered.
const SHORTEST: Duration = Duration::from_millis(10);
/// The same when a storm goes on: what comes meanwhile is one query, whatever a whole fleet asks.
const LONGEST: Duration = Duration::from_millis(200);
/// Requests a second that are a storm. Below it people come and go as on any day, and nobody waits for long.
const STORM_PER_SECOND: u128 = 150;

/// The pause between the starts of two queries that gather requests. It doubles as long as a storm goes on and halves when
/// it does not; a lone request waits for nothing.
#[derive(Debug)]
pub(crate) struct Pace(Duration);

impl Pace {
    /// At rest.
    pub(crate) fn new() -> Self {
        Self(SHORTEST)
    }

    /// The pause behind the query that begins now, for so many requests: those of the pause before.
    pub(crate) fn next(&mut self, requests: usize) -> Duration {
        let stormy = requests as u128 * 1_000 > STORM_PER_SECOND * self.0.as_millis();
        let pause = if stormy { self.0 } else { SHORTEST.max(self.0 / 2) };
        self.0 = if stormy { LONGEST.min(self.0 * 2) } else { pause };
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(requests: [usize; 7]) -> [u128; 7] {
        let mut pace = Pace::new();
        requests.map(|requests| pace.next(requests).as_millis())
    }

    #[test]
    fn a_storm_is_answered_in_ever_fewer_queries_up_to_a_bound() {
        assert_eq!(pauses([1_000; 7]), [10, 20, 40, 80, 160, 200, 200]);
    }

    #[test]
    fn behind_a_storm_and_without_one_nobody_waits_for_long() {
        assert_eq!(pauses([1, 1, 0, 1, 1, 0, 1]), [10; 7]);
        assert_eq!(pauses([50, 50, 50, 5, 5, 3, 1]), [10, 20, 40, 40, 20, 10, 10]);
    }
}
