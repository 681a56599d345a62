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
    client::{Client, Options, Tls},
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
pub(crate) struct Probes {
    closing: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    seen: Arc<Mutex<Seen>>,
}

/// How each probe went.
#[derive(Default)]
pub(crate) struct Seen(Vec<Probe>);

/// One of them.
pub(crate) struct Probe {
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    result: Result<(), String>,
}

impl Probes {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let page = move || async move {
            http::get(address, "/").await?;
            Ok(())
        };
        let mut probes = Self::newcomers(&format!("ws://{address}/ws"), None, None);
        let pages = every(PAGE_EVERY, page, Arc::clone(&probes.seen), probes.closing.clone());
        probes.tasks.push(tokio::spawn(pages));
        probes
    }

    /// Only newcomers to this target, no pages; guests, unless they have a credential.
    pub(crate) fn newcomers(target: &str, token: Option<&str>, tls: Option<Tls>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let closing = CancellationToken::new();
        let target: Arc<str> = target.into();
        let token = token.map(str::to_owned);
        let newcomer = move || {
            let options = Options::new(&target);
            let mut options = match &token {
                Some(token) => options.token(token),
                None => options.guest("newcomer"),
            };
            if let Some(tls) = &tls {
                options = options.tls(tls);
            }
            async move {
                let mut client = Client::connect(&options).await?;
                client.close(1000, "").await?;
                Ok(())
            }
        };
        let newcomers = every(NEWCOMER_EVERY, newcomer, Arc::clone(&seen), closing.clone());
        Self {
            tasks: vec![tokio::spawn(newcomers)],
            closing,
            seen,
        }
    }

    pub(crate) async fn stop(self) -> Seen {
        self.closing.cancel();
        for task in self.tasks {
            // One that panicked has written nothing down, and is missed in the count.
            let _ = task.await;
        }
        let mut seen = std::mem::take(&mut *self.seen.lock());
        seen.0.sort_by_key(|probe| probe.begun);
        seen
    }
}

impl Seen {
    /// All of them.
    pub(super) fn summed_up(&self) -> Probed {
        self.summed_up_where(|_| true)
    }

    /// Those that count.
    pub(crate) fn summed_up_where(&self, counts: impl Fn(&Probe) -> bool) -> Probed {
        let mut probed = Probed::default();
        let (mut outage, mut longest) = (None, Duration::ZERO);
        for probe in self.0.iter().filter(|probe| counts(probe)) {
            probed.all += 1;
            let Err(reason) = &probe.result else {
                outage = None;
                continue;
            };
            probed.failed += 1;
            let first = *outage.get_or_insert(probe.begun);
            longest = longest.max(probe.begun.duration_since(first));
            if probed.reasons.len() < KEPT_REASONS {
                probed.reasons.push(reason.clone());
            }
        }
        probed.longest_outage_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        probed
    }

    /// When the last one that failed began, of those that count.
    pub(crate) fn last_failed(&self, counts: impl Fn(&Probe) -> bool) -> Option<Instant> {
        let mut failed = self.0.iter().rev().filter(|probe| probe.result.is_err());
        failed.find(|probe| counts(probe)).map(|probe| probe.begun)
    }
}

impl Probe {
    /// Whether it was under way at a time between these.
    pub(crate) fn is_between(&self, from: Instant, to: Instant) -> bool {
        self.begun <= to && from <= self.ended
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
            let result = result.map_err(|error| {
                let words = format!("{error:#}");
                words.split_whitespace().collect::<Vec<_>>().join(" ")
            });
            let ended = Instant::now();
            seen.lock().0.push(Probe { begun, ended, result });
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
        let at = |ms| start + Duration::from_millis(ms);
        let probe = |ms, result| Probe {
            begun: at(ms),
            ended: at(ms + 50),
            result,
        };
        let failed = || Err("why".to_owned());
        let seen = Seen(vec![
            probe(0, Ok(())),
            probe(100, failed()),
            probe(200, failed()),
            probe(300, failed()),
            probe(400, Ok(())),
            probe(500, failed()),
        ]);
        let probed = seen.summed_up();
        assert_eq!((probed.all, probed.failed, probed.longest_outage_ms), (6, 4, 200));
        assert_eq!(probed.reasons, ["why"; 4]);
        let probed = seen.summed_up_where(|probe| probe.is_between(at(0), at(299)));
        assert_eq!((probed.all, probed.failed, probed.longest_outage_ms), (3, 2, 100));
        assert_eq!(seen.last_failed(|probe| probe.begun < at(400)), Some(at(300)));
        assert_eq!(seen.last_failed(|probe| probe.is_between(at(551), at(600))), None);
    }
}
