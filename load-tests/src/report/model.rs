//! Everything that is known of a run behind its end. It is the JSON report as it stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::measure::{Counts, Latencies, Timing};

/// Of this format.
pub const FORMAT: u32 = 1;

/// See the module's documentation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// What was run, where, how.
    pub run: Run,
    /// What had to hold, and whether it did. The run has passed if all did.
    pub checks: Vec<Check>,
    /// The parts of the run, in their order.
    pub phases: Vec<PhaseReport>,
    /// Over the whole run.
    pub counts: Counts,
    /// Over the whole run; pairs of microseconds and how often.
    pub latencies: Latencies,
    /// What changed over time.
    pub series: Vec<Series>,
    /// What happened at one moment: a node came, an alarm went off.
    pub marks: Vec<Mark>,
    /// What each process has cost.
    pub costs: Vec<Cost>,
    /// What the service held, for each phase that was repeated until a goal broke.
    #[serde(default)]
    pub held: Vec<Held>,
    /// What the checker of journals said, in its own form, where there were journals.
    pub checker: Option<serde_json::Value>,
}

/// What was run, where, how.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The scenario's or the command's name.
    pub name: String,
    /// What it does, in a sentence.
    pub description: String,
    /// When it began, in Unix milliseconds.
    pub began_ms: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The version of this program, and the commit that it was built from where that is known.
    pub version: String,
    /// See [`Run::version`].
    pub commit: Option<String>,
    /// Where the clients ran.
    pub machine: Machine,
    /// What was connected to.
    pub targets: Vec<String>,
    /// All settings of the run, by name.
    pub settings: BTreeMap<String, serde_json::Value>,
}

/// A machine.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its processor's name.
    pub processor: String,
    /// Processors that the process may use.
    pub cores: usize,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
    /// Its kernel's name and release.
    pub system: String,
}

/// Something that had to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What, in a few words: the same in every run.
    pub name: String,
    /// Whether it did.
    pub passed: bool,
    /// What was seen, and what had to be seen.
    pub detail: String,
}

/// One part of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PhaseReport {
    /// Its name.
    pub name: String,
    /// When it began, in seconds since the run did.
    pub from_s: f64,
    /// When it ended, in seconds since the run began.
    pub to_s: f64,
    /// What happened in it.
    pub counts: Counts,
    /// How long things took in it.
    pub latencies: Latencies,
}

/// The last step of a repeated phase before a goal broke.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The phase.
    pub phase: String,
    /// Things that were written a second at its end; 0: not even the first step held.
    pub messages_per_second: f64,
    /// Connections at its end; 0: not even the first step held.
    pub connections: u32,
}

/// A value at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point(
    /// Seconds since the run began.
    pub f64,
    /// The value.
    pub f64,
);

/// A value that changed over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Of what: series of the same name belong into one chart.
    pub name: String,
    /// Which of them, such as a node's name or a percentile; empty if there is one only.
    pub label: String,
    /// Its unit, such as `ms`, `1/s`, `%`, `MiB`.
    pub unit: String,
    /// In the order of time.
    pub points: Vec<Point>,
}

/// Something that happened at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When, in seconds since the run began.
    pub at_s: f64,
    /// Of which kind, such as `launch`, `terminate`, `alarm`, `fault`.
    pub kind: String,
    /// What happened, in words.
    pub text: String,
}

/// What a process has cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Which process, such as `node i-1`, `clients 1`, `postgres`.
    pub process: String,
    /// Whether it belongs to what is measured, not to what measures.
    pub server: bool,
    /// Processor time in the run, in seconds.
    pub cpu_seconds: f64,
    /// Processor time before it, in seconds.
    pub cpu_before: f64,
    /// The most memory that it held, in bytes.
    pub resident_bytes: u64,
}

/// What is said of a distribution, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the percentiles'")]
pub struct Quantiles {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Quantiles {
    /// Of one kind of wait; `None` if it never happened.
    #[allow(clippy::cast_precision_loss, reason = "for people, who read three digits")]
    pub fn of(latencies: &Latencies, timing: Timing) -> Option<Self> {
        let histogram = latencies.get(timing)?;
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Some(Self {
            count: histogram.len(),
            mean: histogram.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1000.0,
        })
    }
}

impl Report {
    /// Whether everything held that had to.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

impl Series {
    /// The value at a time: the last one until then, and 0 before the first.
    pub fn at(&self, seconds: f64) -> f64 {
        let until = self.points.partition_point(|point| point.0 <= seconds);
        self.points[..until].last().map_or(0.0, |point| point.1)
    }
}

impl Check {
    /// Something that had to hold.
    pub fn new(name: &str, passed: bool, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            passed,
            detail: detail.into(),
        }
    }
}
