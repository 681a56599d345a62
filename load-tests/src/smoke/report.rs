//! What a run found, for programs and for people.

use std::{fmt, time::Duration};

use hdrhistogram::{CreationError, Histogram};

use super::{member::Member, script::Script};

/// Violations that a report shows; of the others only the number is given.
const SHOWN_VIOLATIONS: usize = 20;

/// What a run found.
#[derive(Debug, Clone)]
pub struct Report {
    /// Clients that took part.
    pub connections: usize,
    /// Rooms they were spread over.
    pub rooms: usize,
    /// Messages that were to be sent.
    pub messages: usize,
    /// Messages that were answered with `ok`.
    pub acked: usize,
    /// Messages that were sent again because the node asked for it.
    pub retries: usize,
    /// Events that were to be shown, over all clients.
    pub expected_deliveries: usize,
    /// Events that were shown, over all clients.
    pub deliveries: usize,
    /// From the start to the last event.
    pub elapsed: Duration,
    /// From when a message was due to its answer.
    pub ack: Latency,
    /// From when a message was due to its event, for each client.
    pub delivery: Latency,
    /// What was wrong, in words.
    pub violations: Vec<String>,
}

/// A distribution of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the percentiles'")]
pub struct Latency {
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Report {
    pub(super) fn new(
        script: &Script,
        start: tokio::time::Instant,
        members: Vec<Member>,
    ) -> anyhow::Result<Self> {
        let mut ack = histogram()?;
        let mut delivery = histogram()?;
        let mut report = Self {
            connections: script.connections,
            rooms: script.rooms,
            messages: script.messages,
            acked: 0,
            retries: 0,
            expected_deliveries: (0..script.connections)
                .map(|member| script.messages_in(script.room_of(member)))
                .sum(),
            deliveries: 0,
            elapsed: Duration::ZERO,
            ack: Latency::of(&ack),
            delivery: Latency::of(&delivery),
            violations: Vec::new(),
        };
        for Member { outcome, .. } in members {
            report.acked += outcome.acked;
            report.retries += outcome.retries;
            report.deliveries += outcome.delivered;
            let ended = outcome.ended.unwrap_or_else(tokio::time::Instant::now);
            report.elapsed = report.elapsed.max(ended.saturating_duration_since(start));
            report.violations.extend(outcome.violations);
            ack.add(&outcome.ack_micros)?;
            delivery.add(&outcome.delivery_micros)?;
        }
        report.violations.extend(script.misplaced());
        report.ack = Latency::of(&ack);
        report.delivery = Latency::of(&delivery);
        Ok(report)
    }

    /// Whether everything was as it must be.
    pub fn passed(&self) -> bool {
        self.violations.is_empty()
            && self.acked == self.messages
            && self.deliveries == self.expected_deliveries
    }

    /// Deliveries per second over the whole run.
    pub fn deliveries_per_second(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a number for people")]
        let deliveries = self.deliveries as f64;
        deliveries / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl Latency {
    fn of(micros: &Histogram<u32>) -> Self {
        let at = |quantile| Duration::from_micros(micros.value_at_quantile(quantile));
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: Duration::from_micros(micros.max()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} clients in {} rooms, {:.1} s",
            self.connections,
            self.rooms,
            self.elapsed.as_secs_f64()
        )?;
        writeln!(
            f,
            "messages    {:>10} acked of {}, {} sent again",
            self.acked, self.messages, self.retries
        )?;
        writeln!(
            f,
            "deliveries  {:>10} of {}",
            self.deliveries, self.expected_deliveries
        )?;
        writeln!(f, "            {:>10.0} per second", self.deliveries_per_second())?;
        writeln!(
            f,
            "{:<11} {:>10} {:>10} {:>10} {:>10}",
            "latency, ms", "p50", "p90", "p99", "max"
        )?;
        for (name, latency) in [("ack", self.ack), ("delivery", self.delivery)] {
            write!(f, "{name:<11}")?;
            for value in [latency.p50, latency.p90, latency.p99, latency.max] {
                write!(f, " {:>10.2}", value.as_secs_f64() * 1000.0)?;
            }
            writeln!(f)?;
        }
        if self.passed() {
            return write!(f, "passed: every client saw every event once, in one order");
        }
        write!(f, "FAILED with {} violations", self.violations.len())?;
        for violation in self.violations.iter().take(SHOWN_VIOLATIONS) {
            write!(f, "\n  {violation}")?;
        }
        let more = self.violations.len().saturating_sub(SHOWN_VIOLATIONS);
        if more > 0 {
            write!(f, "\n  and {more} more")?;
        }
        Ok(())
    }
}

/// Of microseconds, with two digits; grows with the values, so that it is small in each of thousands of clients.
pub(super) fn histogram() -> Result<Histogram<u32>, CreationError> {
    let mut histogram = Histogram::new(2)?;
    histogram.auto(true);
    Ok(histogram)
}

pub(super) fn record(histogram: &mut Histogram<u32>, micros: u64) {
    // It grows by itself; a value beyond all that it can grow to counts as the largest.
    if histogram.record(micros).is_err() {
        histogram.saturating_record(micros);
    }
}
