//! How often a storm of requests may become a query to the store.

use std::time::Duration;

/// Pause between two queries when requests begin to come faster than they are answered.
const SHORTEST: Duration = Duration::from_millis(10);
/// The same when they keep doing so: what comes meanwhile is one query, whatever a whole fleet asks.
const LONGEST: Duration = Duration::from_millis(200);

/// The pause between the starts of two queries that gather requests. It doubles as long as there is always somebody
/// waiting at its end; a lone request waits for nothing.
#[derive(Debug)]
pub(crate) struct Pace(Duration);

impl Pace {
    /// At rest.
    pub(crate) fn new() -> Self {
        Self(SHORTEST)
    }

    /// The pause behind the query that begins now.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_answered_in_ever_fewer_queries_up_to_a_bound() {
        let mut pace = Pace::new();
        let pauses: Vec<u128> = (0..7).map(|_| pace.next().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 200, 200]);
    }
}
