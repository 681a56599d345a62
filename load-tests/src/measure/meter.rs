//! Where the clients of one process add up what they see.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Counts, Latencies, Sample, Timing, Usage};

/// Counters and histograms that many clients share. Cheap to clone; all clones are one.
#[derive(Debug, Default, Clone)]
pub struct Meter(Arc<Mutex<Sums>>);

#[derive(Debug, Default)]
struct Sums {
    counts: Counts,
    latencies: Latencies,
    connections: BTreeMap<Arc<str>, u64>,
}

impl Meter {
    /// Counts something: `meter.count(|counts| counts.committed += 1)`.
    pub fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.sums().counts);
    }

    /// Takes note of how long something took.
    pub fn time(&self, timing: Timing, took: Duration) {
        self.sums().latencies.record(timing, took);
    }

    /// Counts events that were shown at once, and how long each took, where that is known, in microseconds.
    pub fn delivered(&self, events: u64, micros: impl IntoIterator<Item = u64>) {
        let mut sums = self.sums();
        sums.counts.delivered += events;
        for micros in micros {
            sums.latencies.record_many(Timing::Delivery, micros, 1);
        }
    }

    /// A connection to this node has been welcomed.
    pub fn connected(&self, node: &Arc<str>) {
        let mut sums = self.sums();
        sums.counts.connected += 1;
        *sums.connections.entry(Arc::clone(node)).or_default() += 1;
    }

    /// A connection to this node is no more; `lost`: against the client's will.
    pub fn disconnected(&self, node: &Arc<str>, lost: bool) {
        let mut sums = self.sums();
        sums.counts.lost += u64::from(lost);
        if let Some(connections) = sums.connections.get_mut(node) {
            *connections = connections.saturating_sub(1);
            if *connections == 0 {
                sums.connections.remove(node);
            }
        }
    }

    /// What was added since the last call, and how it is now.
    pub fn take(&self) -> Sample {
        let mut sums = self.sums();
        let connections = sums.connections.iter();
        Sample {
            connections: connections
                .map(|(node, count)| (node.to_string(), *count))
                .collect(),
            counts: std::mem::take(&mut sums.counts),
            latencies: std::mem::take(&mut sums.latencies),
            usage: Usage::own().unwrap_or_default(),
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
