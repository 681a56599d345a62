//! Somebody who looks all the time whether the service is there.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Client, Options},
    stage::http,
};

/// From one page to the next.
const PAGE_EVERY: Duration = Duration::from_millis(50);
/// From one newcomer to the next.
const NEWCOMER_EVERY: Duration = Duration::from_millis(100);
/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Failures whose reason is kept.
const KEPT_REASONS: usize = 5;

/// What the probes saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Probed {
    /// Pages asked for and newcomers welcomed or not.
    pub all: u64,
    /// Those that failed.
    pub failed: u64,
    /// From the first to the last of failures with no success between them, in milliseconds; of the longest such time.
    pub longest_outage_ms: u64,
    /// Why, of the first ones.
    pub reasons: Vec<String>,
}

/// Probes that go on until they are told to stop.
pub(super) struct Probes {
    closing: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    results: Vec<(Instant, bool)>,
    reasons: Vec<String>,
}

impl Probes {
    pub(super) fn start(address: SocketAddr) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let closing = CancellationToken::new();
        let page = move || async move {
            http::get(address, "/").await?;
            Ok(())
        };
        let newcomer = move || async move {
            let options = Options::new(&format!("ws://{address}/ws")).guest("newcomer");
            let mut client = Client::connect(&options).await?;
            client.close(1000, "").await?;
            Ok(())
        };
        Self {
            tasks: vec![
                tokio::spawn(every(PAGE_EVERY, page, Arc::clone(&seen), closing.clone())),
                tokio::spawn(every(
                    NEWCOMER_EVERY,
                    newcomer,
                    Arc::clone(&seen),
                    closing.clone(),
                )),
            ],
            closing,
            seen,
        }
    }

    pub(super) async fn stop(self) -> Probed {
        self.closing.cancel();
        for task in self.tasks {
            // One that panicked has written nothing down, and is missed in the count.
            let _ = task.await;
        }
        let seen = std::mem::take(&mut *self.seen.lock());
        seen.summed_up()
    }
}

impl Seen {
    fn summed_up(mut self) -> Probed {
        self.results.sort_unstable_by_key(|(begun, _)| *begun);
        let (mut outage, mut longest) = (None, Duration::ZERO);
        for (begun, success) in &self.results {
            if *success {
                outage = None;
            } else {
                let first = *outage.get_or_insert(*begun);
                longest = longest.max(begun.duration_since(first));
            }
        }
        let failed = self.results.iter().filter(|(_, success)| !success).count();
        Probed {
            all: self.results.len() as u64,
            failed: failed as u64,
            longest_outage_ms: u64::try_from(longest.as_millis()).unwrap_or(u64::MAX),
            reasons: self.reasons,
        }
    }
}

/// Probes side by side: one that hangs does not keep the next from being made.
async fn every<F, P>(period: Duration, probe: P, seen: Arc<Mutex<Seen>>, closing: CancellationToken)
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
    P: Fn() -> F,
{
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut under_way = JoinSet::new();
    while closing.run_until_cancelled(ticks.tick()).await.is_some() {
        let (probing, seen) = (probe(), Arc::clone(&seen));
        under_way.spawn(async move {
            let begun = Instant::now();
            let result = timeout(PATIENCE, probing).await;
            let result = result.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in {PATIENCE:?}")));
            let mut seen = seen.lock();
            seen.results.push((begun, result.is_ok()));
            if let Err(error) = result
                && seen.reasons.len() < KEPT_REASONS
            {
                let words = format!("{error:#}");
                seen.reasons
                    .push(words.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        });
        while under_way.try_join_next().is_some() {}
    }
    under_way.join_all().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_until_something_works_again() {
        let start = Instant::now();
        let at = |ms, success| (start + Duration::from_millis(ms), success);
        let results = vec![
            at(0, true),
            at(300, false),
            at(100, false),
            at(200, false),
            at(400, true),
            at(500, false),
        ];
        let seen = Seen {
            results,
            reasons: vec!["why".into()],
        };
        let probed = seen.summed_up();
        assert_eq!((probed.all, probed.failed, probed.longest_outage_ms), (6, 4, 200));
    }
}
