//! The record of a run while it is made.

use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use super::{Counts, Latencies, Sample, Timing, Usage};
use crate::report::{Check, Cost, FORMAT, Held, Mark, PhaseReport, Point, Report, Run, Series};

/// The shortest time over which a process's use of processors is charted, in seconds: the kernel counts it in hundredths of a
/// second, and a look right behind another one would show a tick as many cores.
const CHARTED_EVERY: f64 = 0.5;

/// Made second by second: phases, samples of the clients, what nodes say of themselves, what happened.
#[derive(Debug)]
pub struct Recording {
    run: Run,
    began: Instant,
    phases: Vec<PhaseReport>,
    counts: Counts,
    latencies: Latencies,
    series: BTreeMap<(String, String), Series>,
    marks: Vec<Mark>,
    costs: BTreeMap<String, Cost>,
    /// Of each process: when its use was charted last, and the processor time that it had used by then.
    charted: BTreeMap<String, (f64, f64)>,
    held: Vec<Held>,
    last: Second,
}

/// What the clients did in the last second that was looked at.
#[derive(Debug, Default)]
struct Second {
    at_s: f64,
    /// How long it really was.
    seconds: f64,
    counts: Counts,
    latencies: Latencies,
    nodes: Vec<NodeNow>,
}

/// A node at this moment.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct NodeNow {
    /// Its name.
    pub name: String,
    /// Connections that the clients have to it.
    pub connections: u64,
}

/// How a run stands, to be shown.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    /// The run's name.
    pub name: String,
    /// The phase that it is in.
    pub phase: String,
    /// How long it has been going, in seconds.
    pub seconds: f64,
    /// What happened so far.
    pub total: Counts,
    /// What happened in the last second.
    pub last: Counts,
    /// How long that second was, in seconds.
    pub last_seconds: f64,
    /// How long things took in the last second.
    pub latencies: Latencies,
    /// Who serves.
    pub nodes: Vec<NodeNow>,
    /// What happened so far, the oldest first.
    pub marks: Vec<Mark>,
}

impl Recording {
    /// Begins now, with the first phase. Of `run` the caller gives name, description, targets and settings; the rest is
    /// filled in.
    pub fn start(run: Run, phase: &str) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut recording = Self {
            run: Run {
                began_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
                ..run.here()
            },
            began: Instant::now(),
            phases: Vec::new(),
            counts: Counts::default(),
            latencies: Latencies::default(),
            series: BTreeMap::new(),
            marks: Vec::new(),
            costs: BTreeMap::new(),
            charted: BTreeMap::new(),
            held: Vec::new(),
            last: Second::default(),
        };
        recording.phase(phase);
        recording
    }

    /// Seconds since it began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Ends the phase, if there is one, and begins another one. Samples from here on count for it, but for waits that were due
    /// before.
    pub fn phase(&mut self, name: &str) {
        let now = self.seconds();
        if let Some(last) = self.phases.last_mut() {
            last.to_s = now;
        }
        self.phases.push(PhaseReport {
            name: name.to_owned(),
            from_s: now,
            to_s: now,
            counts: Counts::default(),
            latencies: Latencies::default(),
        });
    }

    /// Something happened now.
    pub fn mark(&mut self, kind: &str, text: impl Into<String>) {
        self.marks.push(Mark {
            at_s: self.seconds(),
            kind: kind.to_owned(),
            text: text.into(),
        });
    }

    /// Something happened at this time, which is not before the beginning.
    pub fn mark_at(&mut self, at: Instant, kind: &str, text: impl Into<String>) {
        self.marks.push(Mark {
            at_s: at.saturating_duration_since(self.began).as_secs_f64(),
            kind: kind.to_owned(),
            text: text.into(),
        });
    }

    /// What the service held when a phase was repeated.
    pub fn held(&mut self, held: Held) {
        self.held.push(held);
    }

    /// A value as it is now.
    pub fn value(&mut self, name: &str, label: &str, unit: &str, value: f64) {
        let at = self.seconds();
        self.point(name, label, unit, at, value);
    }

    /// Takes in what the processes of clients measured in the same second; `samples` names each process.
    pub fn sample(&mut self, samples: &[(String, Sample)]) {
        let at = self.seconds();
        let mut second = Second {
            at_s: at,
            seconds: at - self.last.at_s,
            ..Second::default()
        };
        let mut connections: BTreeMap<&str, u64> = BTreeMap::new();
        for (process, sample) in samples {
            second.counts += sample.counts;
            second.latencies.add(&sample.latencies);
            if let Some(phase) = self.phases.last_mut() {
                phase.latencies.add(&sample.latencies);
            }
            for (back, latencies) in &sample.earlier {
                second.latencies.add(latencies);
                self.earlier(*back, latencies);
            }
            for (node, count) in &sample.connections {
                *connections.entry(node).or_default() += count;
            }
            self.cost(process, false, sample.usage);
        }
        self.counts += second.counts;
        self.latencies.add(&second.latencies);
        if let Some(phase) = self.phases.last_mut() {
            phase.counts += second.counts;
            phase.to_s = at;
        }
        self.chart(&second, &connections);
        let now = connections.iter().map(|(name, count)| NodeNow {
            name: (*name).to_owned(),
            connections: *count,
        });
        second.nodes = now.collect();
        self.last = second;
    }

    /// Waits that were due so many phases before the present one.
    fn earlier(&mut self, back: u32, latencies: &Latencies) {
        let last = self.phases.len().saturating_sub(1);
        let place = last.saturating_sub(usize::try_from(back).unwrap_or(last));
        if let Some(phase) = self.phases.get_mut(place) {
            phase.latencies.add(latencies);
        }
    }

    /// What a process has cost so far; `server`: it is measured, not measuring. Where its processor time has gone since the
    /// last look becomes a series.
    pub fn cost(&mut self, process: &str, server: bool, usage: Usage) {
        let at = self.seconds();
        let cost = self.costs.entry(process.to_owned()).or_insert_with(|| Cost {
            process: process.to_owned(),
            server,
            // What it had used before the run is taken off at the first look.
            cpu_before: usage.cpu_seconds,
            cpu_seconds: 0.0,
            resident_bytes: 0,
        });
        let used = (usage.cpu_seconds - cost.cpu_before).max(cost.cpu_seconds);
        cost.cpu_seconds = used;
        cost.resident_bytes = cost.resident_bytes.max(usage.resident_bytes);
        let percent = match self.charted.get(process) {
            None => 0.0,
            Some((since, _)) if at - since < CHARTED_EVERY => return,
            Some((since, before)) => 100.0 * (used - before) / (at - since),
        };
        self.charted.insert(process.to_owned(), (at, used));
        self.point("processor", process, "%", at, percent);
        self.point("memory", process, "MiB", at, mebibytes(usage.resident_bytes));
    }

    /// How the run stands.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            name: self.run.name.clone(),
            phase: self
                .phases
                .last()
                .map(|phase| phase.name.clone())
                .unwrap_or_default(),
            seconds: self.seconds(),
            total: self.counts,
            last: self.last.counts,
            last_seconds: self.last.seconds,
            latencies: self.last.latencies.clone(),
            nodes: self.last.nodes.clone(),
            marks: self.marks.clone(),
        }
    }

    /// What happened so far, and how long it took.
    pub fn so_far(&self) -> (Counts, &Latencies) {
        (self.counts, &self.latencies)
    }

    /// The phases so far; the last one is not at its end.
    pub fn phases(&self) -> &[PhaseReport] {
        &self.phases
    }

    /// Ends the run.
    pub fn finish(mut self, checks: Vec<Check>, checker: Option<Value>) -> Report {
        let seconds = self.seconds();
        if let Some(last) = self.phases.last_mut() {
            last.to_s = seconds;
        }
        self.run.seconds = seconds;
        Report {
            format: FORMAT,
            run: self.run,
            checks,
            phases: self.phases,
            counts: self.counts,
            latencies: self.latencies,
            series: self.series.into_values().collect(),
            marks: self.marks,
            costs: self.costs.into_values().collect(),
            held: self.held,
            checker,
        }
    }

    fn chart(&mut self, second: &Second, connections: &BTreeMap<&str, u64>) {
        let at = second.at_s;
        for (node, count) in connections {
            self.point("connections", node, "", at, whole(*count));
        }
        // A node that serves nobody any more is at zero from here on.
        let gone: Vec<String> = self
            .series
            .iter()
            .filter(|((name, label), series)| {
                name == "connections"
                    && !connections.contains_key(label.as_str())
                    && series.points.last().is_some_and(|point| point.1 > 0.0)
            })
            .map(|((_, label), _)| label.clone())
            .collect();
        for node in gone {
            self.point("connections", &node, "", at, 0.0);
        }
        let counts = second.counts;
        let per_second = |count| whole(count) / second.seconds.max(f64::EPSILON);
        for (label, count) in [
            ("offered", counts.offered),
            ("accepted", counts.accepted),
            ("committed", counts.committed),
        ] {
            self.point("messages", label, "1/s", at, per_second(count));
        }
        self.point("deliveries", "", "1/s", at, per_second(counts.delivered));
        for timing in [Timing::Ack, Timing::Delivery] {
            for (label, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
                if let Some(ms) = second.latencies.quantile_ms(timing, quantile) {
                    self.point(timing.name(), label, "ms", at, ms);
                }
            }
        }
    }

    fn point(&mut self, name: &str, label: &str, unit: &str, at: f64, value: f64) {
        let key = (name.to_owned(), label.to_owned());
        let series = self.series.entry(key).or_insert_with(|| Series {
            name: name.to_owned(),
            label: label.to_owned(),
            unit: unit.to_owned(),
            points: Vec::new(),
        });
        series.points.push(Point(at, value));
    }
}

#[allow(clippy::cast_precision_loss, reason = "for charts")]
fn whole(count: u64) -> f64 {
    count as f64
}

fn mebibytes(bytes: u64) -> f64 {
    whole(bytes) / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(committed: u64, node: &str, connections: u64) -> Sample {
        let mut latencies = Latencies::default();
        latencies.record(Timing::Ack, Duration::from_millis(committed));
        Sample {
            counts: Counts {
                committed,
                ..Counts::default()
            },
            latencies,
            earlier: BTreeMap::new(),
            reasons: Vec::new(),
            connections: [(node.to_owned(), connections)].into(),
            usage: Usage {
                cpu_seconds: 7.0,
                resident_bytes: 3 << 20,
            },
        }
    }

    #[test]
    fn a_wait_counts_for_the_phase_in_which_it_was_due() {
        let mut recording = Recording::start(Run::default(), "arrive");
        recording.phase("storm");
        let mut late = Latencies::default();
        late.record(Timing::Reconnect, Duration::from_secs(30));
        recording.phase("after");
        let back = Sample {
            earlier: [(1, late)].into(),
            ..Sample::default()
        };
        recording.sample(&[("clients 1".into(), back)]);
        let report = recording.finish(Vec::new(), None);
        let of = |latencies: &Latencies| latencies.get(Timing::Reconnect).map_or(0, |all| all.len());
        let phases: Vec<u64> = report.phases.iter().map(|phase| of(&phase.latencies)).collect();
        assert_eq!((phases, of(&report.latencies)), (vec![0, 1, 0], 1));
    }

    #[test]
    fn samples_count_for_their_phase_and_for_the_run() {
        let mut recording = Recording::start(Run::default(), "first");
        recording.sample(&[
            ("clients 1".into(), sample(5, "a", 3)),
            ("clients 2".into(), sample(6, "a", 4)),
        ]);
        recording.phase("second");
        recording.mark("launch", "i-1");
        recording.sample(&[("clients 1".into(), sample(1, "b", 2))]);
        let now = recording.snapshot();
        assert_eq!((now.total.committed, now.last.committed), (12, 1));
        assert_eq!(now.phase, "second");
        assert_eq!(
            now.nodes,
            [NodeNow {
                name: "b".into(),
                connections: 2
            }]
        );

        let report = recording.finish(vec![Check::new("it ran", true, "")], None);
        assert!(report.passed());
        let committed: Vec<u64> = report.phases.iter().map(|phase| phase.counts.committed).collect();
        assert_eq!(committed, [11, 1]);
        let of_a = report
            .series
            .iter()
            .find(|series| series.name == "connections" && series.label == "a");
        let values: Vec<f64> = of_a.unwrap().points.iter().map(|point| point.1).collect();
        assert_eq!(values, [7.0, 0.0], "nobody is on it any more");
        let cost = &report.costs[0];
        assert_eq!(
            (cost.process.as_str(), cost.cpu_seconds),
            ("clients 1", 0.0),
            "used before the run"
        );
        assert_eq!(report.marks[0].kind, "launch");

        let json = serde_json::to_string(&report).unwrap();
        let back: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(back.latencies.get(Timing::Ack), report.latencies.get(Timing::Ack));
    }

    #[test]
    fn a_look_right_behind_another_one_does_not_chart_a_tick_as_many_cores() {
        let mut recording = Recording::start(Run::default(), "all");
        for ticks in 0..100_u32 {
            let usage = Usage {
                cpu_seconds: f64::from(ticks) / 100.0,
                resident_bytes: 1,
            };
            recording.cost("node-1", true, usage);
        }
        let charted = &recording.series[&("processor".to_owned(), "node-1".to_owned())];
        assert_eq!(charted.points.len(), 1, "{charted:?}");
        assert!((recording.costs["node-1"].cpu_seconds - 0.99).abs() < 1e-9);
    }
}
