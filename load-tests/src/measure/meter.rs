//! Where the clients of one process add up what they see.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Counts, Latencies, Sample, Timing, Usage};

/// So many reasons for one thing or another are kept: whoever reads them wants to know what is wrong, not how often.
const REASONS: usize = 5;
/// Of each so much is kept, in characters: it may be a server's page.
const REASON_CHARS: usize = 300;

/// Counters and histograms that many clients share. Cheap to clone; all clones are one.
#[derive(Debug, Default, Clone)]
pub struct Meter(Arc<Mutex<Sums>>);

#[derive(Debug, Default)]
struct Sums {
    counts: Counts,
    latencies: Latencies,
    /// Waits that were due before the present part, by how many parts before it.
    earlier: BTreeMap<u32, Latencies>,
    /// When each part began; empty where there are none.
    parts: Vec<Instant>,
    /// Why clients could not get in; of them so many were taken.
    reasons: Vec<String>,
    told: usize,
    connections: BTreeMap<Arc<str>, u64>,
}

impl Meter {
    /// Counts something: `meter.count(|counts| counts.committed += 1)`.
    pub fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.sums().counts);
    }

    /// Why a client could not get in. The first few that differ are kept.
    pub fn reason(&self, reason: &str) {
        let mut sums = self.sums();
        if sums.reasons.len() < REASONS {
            let reason: String = reason.chars().take(REASON_CHARS).collect();
            if !sums.reasons.contains(&reason) {
                sums.reasons.push(reason);
            }
        }
    }

    /// Another part of the run begins: from here on waits are told apart by the part in which they were due. What was not
    /// taken yet was measured in the one before.
    pub fn part(&self, begun: Instant) {
        let mut sums = self.sums();
        let known = std::mem::take(&mut sums.earlier);
        sums.earlier = known.into_iter().map(|(back, of)| (back + 1, of)).collect();
        let last = std::mem::take(&mut sums.latencies);
        if !sums.parts.is_empty() && !last.is_empty() {
            sums.earlier.insert(1, last);
        }
        sums.parts.push(begun);
    }

    /// Takes note of how long something took that is over now.
    pub fn time(&self, timing: Timing, took: Duration) {
        let now = Instant::now();
        let mut sums = self.sums();
        sums.due(now.checked_sub(took)).record(timing, took);
    }

    /// Counts events that were shown at once, and how long each took, where that is known, in microseconds.
    pub fn delivered(&self, events: u64, micros: impl IntoIterator<Item = u64>) {
        let now = Instant::now();
        let mut sums = self.sums();
        sums.counts.delivered += events;
        for micros in micros {
            let due = now.checked_sub(Duration::from_micros(micros));
            sums.due(due).record_many(Timing::Delivery, micros, 1);
        }
    }

    /// A connection to this node has been welcomed.
    pub fn connected(&self, node: &Arc<str>) {
        let mut sums = self.sums();
        sums.counts.connected += 1;
        *sums.connections.entry(Arc::clone(node)).or_default() += 1;
    }

    /// A connection to this node is no more.
    pub fn disconnected(&self, node: &Arc<str>) {
        let mut sums = self.sums();
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
        let reasons = sums.reasons.iter().skip(sums.told).cloned().collect();
        sums.told = sums.reasons.len();
        let connections = sums.connections.iter();
        Sample {
            connections: connections
                .map(|(node, count)| (node.to_string(), *count))
                .collect(),
            counts: std::mem::take(&mut sums.counts),
            latencies: std::mem::take(&mut sums.latencies),
            earlier: std::mem::take(&mut sums.earlier),
            reasons,
            usage: Usage::own().unwrap_or_default(),
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    /// Where a wait belongs that was due then; `None`: before any time that is known.
    fn due(&mut self, due: Option<Instant>) -> &mut Latencies {
        let begun = |part: &&Instant| due.is_none_or(|due| due < **part);
        // Nearly all of it belongs into the present part. What was due before the first one belongs into that.
        let back = self.parts.iter().skip(1).rev().take_while(begun).count();
        match u32::try_from(back) {
            Ok(0) | Err(_) => &mut self.latencies,
            Ok(back) => self.earlier.entry(back).or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_belongs_to_the_part_in_which_it_was_due() {
        let meter = Meter::default();
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        meter.part(ago(100));
        meter.time(Timing::Join, Duration::from_secs(1));
        meter.part(ago(50));
        meter.part(ago(10));
        // Due before the first one, in each, and in the present one.
        for seconds in [200, 70, 30, 20, 5] {
            meter.time(Timing::Reconnect, Duration::from_secs(seconds));
        }
        meter.delivered(2, [40_000_000, 1_000]);
        let sample = meter.take();
        let count = |latencies: &Latencies, timing| latencies.get(timing).map_or(0, |all| all.len());
        assert_eq!(count(&sample.latencies, Timing::Reconnect), 1);
        assert_eq!(count(&sample.latencies, Timing::Delivery), 1);
        let earlier = |timing| [1, 2].map(|back| count(&sample.earlier[&back], timing));
        assert_eq!(earlier(Timing::Reconnect), [2, 2]);
        assert_eq!(earlier(Timing::Delivery), [1, 0]);
        assert_eq!(
            earlier(Timing::Join),
            [0, 1],
            "as it was measured before two more began"
        );
        assert!(meter.take().earlier.is_empty());
    }
}
