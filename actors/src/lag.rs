//! How late this node is with what it does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::metrics::Metrics;

/// It is measured so often.
const EVERY: Duration = Duration::from_secs(1);

/// For how long a task that is ready waits for a thread of the actors' runtime: next to nothing, unless the node has more
/// to do than it can. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Lag(Arc<AtomicU64>);

impl Lag {
    /// As it was when it was last measured, and the time before: once is no sign of too much to do.
    pub(crate) fn last(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }

    /// Measures it, for ever: to be run where the actors run.
    pub(crate) async fn keep_measuring(self, metrics: Metrics) {
        let mut before = Duration::ZERO;
        loop {
            let due = Instant::now() + EVERY;
            sleep_until(due).await;
            let late = due.elapsed();
            let twice = late.min(before);
            self.0
                .store(u64::try_from(twice.as_micros()).unwrap_or(u64::MAX), Relaxed);
            metrics.lag_seconds().set(late.as_secs_f64());
            before = late;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_is_kept_busy_is_late() {
        let lag = Lag::default();
        let measuring = tokio::spawn(lag.clone().keep_measuring(Metrics::noop()));
        tokio::task::yield_now().await;
        let busy = Duration::from_millis(400);
        for last in [Duration::ZERO, busy] {
            std::thread::sleep(EVERY + busy);
            // What is late by then comes before what is not.
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(lag.last() >= last, "{:?}", lag.last());
            assert!(lag.last() < busy || !last.is_zero(), "{:?}", lag.last());
        }
        measuring.abort();
    }
}
