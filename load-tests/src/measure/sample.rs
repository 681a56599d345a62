//! What was measured between two looks.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::AddAssign,
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::Usage;

/// How much of what happened. What was offered, accepted, committed and delivered is never mixed up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Commands that were due by the schedule.
    pub offered: u64,
    /// Of them: written to a connection, for the first time.
    pub accepted: u64,
    /// Of them: answered with `ok`, that is, stored.
    pub committed: u64,
    /// Events that were shown to a client for the first time, over all clients.
    pub delivered: u64,
    /// Commands that were sent again with the same `cid`.
    pub repeated: u64,
    /// Answers `overloaded` or `rate_limited`.
    pub pushed_back: u64,
    /// Commands that were refused for good.
    pub refused: u64,
    /// Connections that were welcomed.
    pub connected: u64,
    /// Attempts to connect that failed.
    pub connect_failed: u64,
    /// Connections that ended against the client's will.
    pub lost: u64,
    /// Connections that clients cut off on purpose, as a network does that fails.
    pub cut: u64,
    /// Connections on which at least one room was resumed.
    pub resumed: u64,
    /// Gaps that were told.
    pub gaps: u64,
    /// Requests to move.
    pub goaways: u64,
    /// Rooms that were refused for good to somebody who had not been in them.
    pub joins_refused: u64,
    /// HTTP requests that were answered as they should be.
    pub requests: u64,
    /// HTTP requests that were not.
    pub requests_failed: u64,
    /// Frames that broke the rules of the wire: a hole, a repeat, a wrong order or content.
    pub broken: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.offered += other.offered;
        self.accepted += other.accepted;
        self.committed += other.committed;
        self.delivered += other.delivered;
        self.repeated += other.repeated;
        self.pushed_back += other.pushed_back;
        self.refused += other.refused;
        self.connected += other.connected;
        self.connect_failed += other.connect_failed;
        self.lost += other.lost;
        self.cut += other.cut;
        self.resumed += other.resumed;
        self.gaps += other.gaps;
        self.goaways += other.goaways;
        self.joins_refused += other.joins_refused;
        self.requests += other.requests;
        self.requests_failed += other.requests_failed;
        self.broken += other.broken;
    }
}

/// What is timed. All in microseconds, from when it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// From when a connection was due to its `welcome`.
    Connect,
    /// From when a connection was lost to the `welcome` of the next one.
    Reconnect,
    /// From when a join was due to its answer.
    Join,
    /// From when a command was due to its `ok`.
    Ack,
    /// From when a message was due to when a client was shown it.
    Delivery,
    /// From when an HTTP request was due to the end of its answer.
    Request,
}

impl Timing {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Connect,
        Self::Reconnect,
        Self::Join,
        Self::Ack,
        Self::Delivery,
        Self::Request,
    ];

    /// As it is called in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reconnect => "reconnect",
            Self::Join => "join",
            Self::Ack => "ack",
            Self::Delivery => "delivery",
            Self::Request => "request",
        }
    }
}

/// Histograms of microseconds, three digits each, that grow as they need to. What never happened has none.
#[derive(Debug, Default, Clone)]
pub struct Latencies(BTreeMap<Timing, Histogram<u64>>);

impl Latencies {
    /// Adds a value.
    pub fn record(&mut self, timing: Timing, took: Duration) {
        self.record_many(timing, u64::try_from(took.as_micros()).unwrap_or(u64::MAX), 1);
    }

    /// Adds a value in microseconds, so many times.
    pub fn record_many(&mut self, timing: Timing, micros: u64, count: u64) {
        if let Some(histogram) = self.histogram(timing)
            && histogram.record_n(micros, count).is_err()
        {
            histogram.saturating_record_n(micros, count);
        }
    }

    /// Adds all values of others.
    pub fn add(&mut self, others: &Self) {
        for (timing, other) in &others.0 {
            if let Some(histogram) = self.histogram(*timing) {
                // It grows by itself: it cannot be too small.
                let _ = histogram.add(other);
            }
        }
    }

    /// The values of one kind, if there are any.
    pub fn get(&self, timing: Timing) -> Option<&Histogram<u64>> {
        self.0.get(&timing).filter(|histogram| !histogram.is_empty())
    }

    /// Whether nothing was timed.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Histogram::is_empty)
    }

    /// A quantile, in milliseconds; `None` without any value.
    #[allow(clippy::cast_precision_loss, reason = "for people, who read three digits")]
    pub fn quantile_ms(&self, timing: Timing, quantile: f64) -> Option<f64> {
        Some(self.get(timing)?.value_at_quantile(quantile) as f64 / 1000.0)
    }

    fn histogram(&mut self, timing: Timing) -> Option<&mut Histogram<u64>> {
        match self.0.entry(timing) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(new) => {
                let mut histogram = Histogram::new(3).ok()?;
                histogram.auto(true);
                Some(new.insert(histogram))
            }
        }
    }
}

/// As pairs of microseconds and how often.
impl Serialize for Latencies {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = |histogram: &Histogram<u64>| -> Vec<(u64, u64)> {
            let recorded = histogram.iter_recorded();
            recorded
                .map(|at| (at.value_iterated_to(), at.count_at_value()))
                .collect()
        };
        let all = self
            .0
            .iter()
            .map(|(timing, histogram)| (*timing, pairs(histogram)));
        serializer.collect_map(all)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = BTreeMap::<Timing, Vec<(u64, u64)>>::deserialize(deserializer)?;
        let mut latencies = Self::default();
        for (timing, pairs) in all {
            for (micros, count) in pairs {
                latencies.record_many(timing, micros, count);
            }
        }
        Ok(latencies)
    }
}

/// What one process of clients measured since the last time it was asked.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// What happened since.
    pub counts: Counts,
    /// How long it took: what was due in the present part of the run, or all where there are no parts.
    pub latencies: Latencies,
    /// How long it took where it was due in an earlier part, by how many parts before the present one.
    #[serde(default)]
    pub earlier: BTreeMap<u32, Latencies>,
    /// Why clients could not get in, where that is new; not all reasons, if there are many.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Connections at this moment, by the node that serves them.
    pub connections: BTreeMap<String, u64>,
    /// What the process has cost so far.
    pub usage: Usage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_survive_the_way_between_processes() {
        let mut latencies = Latencies::default();
        for micros in [0, 1, 999, 1000, 123_456, 3_600_000_000] {
            latencies.record(Timing::Ack, Duration::from_micros(micros));
        }
        latencies.record_many(Timing::Delivery, 77, 1000);
        let bytes = rmp_serde::to_vec_named(&latencies).unwrap();
        let mut back: Latencies = rmp_serde::from_slice(&bytes).unwrap();
        for timing in [Timing::Ack, Timing::Delivery] {
            assert_eq!(back.get(timing), latencies.get(timing));
        }
        assert!(back.get(Timing::Join).is_none());
        back.add(&latencies);
        assert_eq!(back.get(Timing::Delivery).unwrap().len(), 2000);
        assert_eq!(back.quantile_ms(Timing::Delivery, 0.5), Some(0.077));
    }
}
