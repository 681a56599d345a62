//! How long people waited, all together and around each fault.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A time in which something was done to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// What was done: waits are put together by it.
    pub name: String,
    /// To whom, in words.
    pub target: String,
    /// When it began, in Unix microseconds.
    pub from_us: u64,
    /// When it was healed, in Unix microseconds.
    pub to_us: u64,
    /// Until when what follows counts as its aftermath, in Unix microseconds.
    pub after_us: u64,
}

/// Which wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// From when a command was due to its `ok`.
    Ack,
    /// From when an event was surely committed to when a client was shown it.
    Delivery,
    /// The same, for clients on another node than the one that answered its sender.
    CrossNode,
    /// From when a connection was lost to when the client was connected again and had all that had been said by then.
    Back,
}

/// In relation to a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The whole run.
    All,
    /// Outside of every fault and its aftermath.
    Quiet,
    /// While it lasted, or reaching into it.
    During,
    /// Begun after it was healed.
    After,
}

/// The distribution of a wait, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names are the percentiles'")]
pub struct Distribution {
    pub count: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// The longest of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Longest {
    /// In milliseconds.
    pub ms: u64,
    /// When it began, in Unix microseconds.
    pub from_us: u64,
    /// Who waited for what.
    pub what: String,
}

/// Gathers waits.
#[derive(Debug)]
pub(super) struct Waits {
    windows: Vec<Window>,
    by: BTreeMap<(String, Phase, Wait), Histogram<u32>>,
    longest: BTreeMap<Wait, Longest>,
}

/// Waits around one kind of fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WaitsOf {
    /// The fault; `""` for those of no fault.
    pub fault: String,
    /// When.
    pub phase: Phase,
    /// Which.
    pub wait: Wait,
    /// How long.
    pub distribution: Distribution,
}

impl Waits {
    pub(super) fn new(windows: Vec<Window>) -> Self {
        Self {
            windows,
            by: BTreeMap::new(),
            longest: BTreeMap::new(),
        }
    }

    /// Takes note of a wait between two times, in Unix microseconds.
    pub(super) fn add(&mut self, wait: Wait, from: u64, to: u64, what: impl FnOnce() -> String) {
        let micros = to.saturating_sub(from);
        let mut quiet = true;
        let mut names: Vec<(String, Phase)> = Vec::new();
        for window in &self.windows {
            let phase = if from < window.to_us && to >= window.from_us {
                Phase::During
            } else if from >= window.to_us && from < window.after_us {
                Phase::After
            } else {
                continue;
            };
            quiet = false;
            names.push((window.name.clone(), phase));
        }
        names.push((String::new(), Phase::All));
        if quiet {
            names.push((String::new(), Phase::Quiet));
        }
        names.sort_unstable();
        names.dedup();
        for (name, phase) in names {
            let key = (name, phase, wait);
            if let Some(histogram) = self.by.get_mut(&key) {
                let _ = histogram.record(micros);
            } else if let Ok(mut histogram) = Histogram::new(2) {
                let _ = histogram.record(micros);
                self.by.insert(key, histogram);
            }
        }
        let ms = micros / 1000;
        if self.longest.get(&wait).is_none_or(|longest| longest.ms < ms) {
            let longest = Longest {
                ms,
                from_us: from,
                what: what(),
            };
            self.longest.insert(wait, longest);
        }
    }

    pub(super) fn finish(self) -> (Vec<WaitsOf>, BTreeMap<Wait, Longest>) {
        let of = |((fault, phase, wait), histogram): ((String, Phase, Wait), Histogram<u32>)| WaitsOf {
            fault,
            phase,
            wait,
            distribution: distribution(&histogram),
        };
        (self.by.into_iter().map(of).collect(), self.longest)
    }
}

fn distribution(micros: &Histogram<u32>) -> Distribution {
    #[allow(clippy::cast_precision_loss, reason = "for people, who read three digits")]
    let ms = |micros: u64| micros as f64 / 1000.0;
    Distribution {
        count: micros.len(),
        p50_ms: ms(micros.value_at_quantile(0.5)),
        p99_ms: ms(micros.value_at_quantile(0.99)),
        max_ms: ms(micros.max()),
    }
}
