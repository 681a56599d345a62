//! What things cost, as it was measured.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::{
    fit::{fitted, predicted},
    work::{Kind, Observed, Work, observed},
};
use crate::report::{
    Costs as Sums, Report,
    number::{self, real},
};

/// The one that comes with this program.
const SHIPPED: &str = include_str!("../../plan/calibration.toml");

/// Kinds of work that cost something on each side.
const NODE: [Kind; 12] = Kind::ALL;
const POSTGRES: [Kind; 7] = [
    Kind::Node,
    Kind::Connect,
    Kind::Join,
    Kind::Commit,
    Kind::Read,
    Kind::Page,
    Kind::StoreHead,
];
const REDIS: [Kind; 5] = [Kind::Node, Kind::Commit, Kind::Copy, Kind::Notice, Kind::BusHead];

/// Costs and sizes, and where they are from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// When it was measured.
    pub date: String,
    /// Of which commit the harness was built that measured; nodes need not be of the same.
    pub commit: String,
    /// On which machine.
    pub machine: String,
    /// The runs.
    pub runs: Vec<String>,
    /// The middle of the phases' relative errors, for the nodes, of the phases that it was made from.
    pub middle_error: f64,
    /// The largest of them among phases of a second of processor time and more.
    pub largest_error: f64,
    /// How far it was off on runs that it was not made from, for the nodes.
    #[serde(default)]
    pub unseen: Option<Unseen>,
    /// Processor seconds of the nodes, of one core of that machine, for one of each kind of work.
    pub node_cpu: Work,
    /// Of Postgres.
    pub postgres_cpu: Work,
    /// Of Redis.
    pub redis_cpu: Work,
    /// Sizes.
    pub bytes: Bytes,
}

/// Relative errors of predictions, below zero where less was predicted than was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unseen {
    /// The runs.
    pub runs: Vec<String>,
    /// Over all their phases.
    pub together: f64,
    /// Of the phases of a second of processor time and more: the one of which least was predicted.
    pub lowest: f64,
    /// Of the same: the one of which most was.
    pub highest: f64,
}

impl Unseen {
    /// Holds costs against runs; `None` where they do not tell the processor time of nodes.
    pub(super) fn of(costs: &Calibration, reports: &[Report]) -> Option<Self> {
        let phases: Vec<Observed> = reports.iter().flat_map(observed).collect();
        let predicted = |phase: &Observed| predicted(&costs.node_cpu, &phase.work);
        let errors = phases
            .iter()
            .filter(|phase| phase.node_cpu >= 1.0)
            .map(|phase| error(predicted(phase), phase.node_cpu));
        let (lowest, highest) = errors
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(lowest, highest), error| {
                (error.min(lowest), error.max(highest))
            });
        (lowest <= highest).then(|| Self {
            runs: reports.iter().map(|report| report.run.name.clone()).collect(),
            together: error(
                phases.iter().map(predicted).sum(),
                phases.iter().map(|phase| phase.node_cpu).sum(),
            ),
            lowest,
            highest,
        })
    }
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Memory of a node that serves nobody.
    pub node: f64,
    /// Memory of a node for each connection, the kernel's not included.
    pub connection: f64,
    /// Memory of the kernel for a connection's socket, with empty buffers.
    pub socket: f64,
    /// Memory of a node for a room that it has members in, without events.
    pub room: f64,
    /// Memory of a node for each event that a room keeps at hand.
    pub event_kept: f64,
    /// Memory of Redis for a room's head.
    pub head_kept: f64,
    /// Disk of Postgres for an event, with indexes.
    pub event_stored: f64,
    /// An event on the way to a client, with the frame around it and what TCP, IP and TLS add.
    pub event_to_client: f64,
    /// An event on the bus.
    pub event_on_bus: f64,
}

impl Calibration {
    /// The one that comes with this program.
    ///
    /// # Errors
    /// When the program was built with a broken one.
    pub fn shipped() -> anyhow::Result<Self> {
        toml::from_str(SHIPPED).context("the calibration that comes with the program")
    }

    /// From a file that [`Self::write`] wrote.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is no calibration", file.display()))
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = toml::to_string_pretty(self).context("the calibration cannot be put into TOML")?;
        fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// From runs; sizes that no report tells are those of `known`.
    ///
    /// # Errors
    /// When the runs are of different machines, or say nothing of the nodes' processor time.
    pub fn from_runs(reports: &[Report], known: &Self) -> anyhow::Result<Self> {
        let first = reports
            .first()
            .context("a calibration needs at least one report")?;
        let machine = first.run.machine.to_string();
        for report in reports {
            ensure!(
                report.run.machine.to_string() == machine,
                "runs of different machines make no calibration: {machine}, and {}",
                report.run.machine
            );
        }
        let phases: Vec<Observed> = reports.iter().flat_map(observed).collect();
        ensure!(
            !phases.is_empty(),
            "no report tells the processor time of nodes: let `run` start them, in place of --target"
        );
        let node_cpu = fitted(&phases, &NODE, |phase| Some(phase.node_cpu));
        let mut errors: Vec<(f64, f64)> = phases
            .iter()
            .map(|phase| {
                (
                    error(predicted(&node_cpu, &phase.work), phase.node_cpu).abs(),
                    phase.node_cpu,
                )
            })
            .collect();
        errors.sort_by(|one, other| one.0.total_cmp(&other.0));
        let large = errors.iter().filter(|(_, seconds)| *seconds >= 1.0);
        let mut redis_cpu = fitted(&phases, &REDIS, |phase| phase.redis_cpu);
        redis_cpu[Kind::Copy] = known.redis_cpu[Kind::Copy];
        let (node, connection) = memory(reports).unwrap_or((known.bytes.node, known.bytes.connection));
        Ok(Self {
            date: number::date(first.run.began_ms)[..10].to_owned(),
            commit: first.run.commit.clone().unwrap_or_else(|| "unknown".into()),
            machine,
            runs: reports.iter().map(|report| report.run.name.clone()).collect(),
            middle_error: errors.get(errors.len() / 2).map_or(0.0, |(error, _)| *error),
            largest_error: large.map(|(error, _)| *error).fold(0.0, f64::max),
            unseen: None,
            node_cpu,
            postgres_cpu: fitted(&phases, &POSTGRES, |phase| phase.postgres_cpu),
            redis_cpu,
            bytes: Bytes {
                node,
                connection,
                ..known.bytes
            },
        })
    }
}

/// How far a prediction is off, as a share of what was measured; below zero where it is less.
pub(super) fn error(predicted: f64, measured: f64) -> f64 {
    (predicted - measured) / measured.max(1e-9)
}

/// Of a node that serves nobody, and for each connection: from the run with the most of them.
fn memory(reports: &[Report]) -> Option<(f64, f64)> {
    let largest = reports
        .iter()
        .max_by(|one, other| super::peak_connections(one).total_cmp(&super::peak_connections(other)))?;
    let connections = super::peak_connections(largest);
    let nodes = largest
        .costs
        .iter()
        .filter(|cost| cost.server && cost.process.starts_with("node"));
    let nodes = real(nodes.count() as u64);
    let first: f64 = largest
        .series
        .iter()
        .filter(|series| series.name == "memory" && series.label.starts_with("node"))
        .filter_map(|series| series.points.first())
        .map(|point| point.1 * f64::from(1 << 20))
        .sum();
    let most = Sums::of(largest).node_bytes;
    (nodes > 0.0 && connections >= 1000.0 && most > first)
        .then(|| (first / nodes, (most - first) / connections))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measure::{Counts, Latencies},
        report::{Cost, FORMAT, PhaseReport, Point, Run, Series},
    };

    /// A node that has nothing to do, twice for ten seconds: half a core, then a fifth.
    fn report() -> Report {
        let phase = |name: &str, from_s| PhaseReport {
            name: name.to_owned(),
            from_s,
            to_s: from_s + 10.0,
            counts: Counts::default(),
            latencies: Latencies::default(),
        };
        Report {
            format: FORMAT,
            run: Run {
                name: "other".to_owned(),
                ..Run::default()
            },
            checks: Vec::new(),
            phases: vec![phase("one", 0.0), phase("two", 10.0)],
            counts: Counts::default(),
            latencies: Latencies::default(),
            series: vec![Series {
                name: "processor".to_owned(),
                label: "node 1".to_owned(),
                unit: "%".to_owned(),
                points: vec![Point(0.0, 0.0), Point(10.0, 50.0), Point(20.0, 20.0)],
            }],
            marks: Vec::new(),
            held: Vec::new(),
            costs: vec![Cost {
                process: "node 1".to_owned(),
                server: true,
                cpu_seconds: 7.0,
                cpu_before: 0.0,
                resident_bytes: 1,
            }],
            checker: None,
        }
    }

    #[test]
    fn what_a_run_was_off_by_has_a_sign_and_is_kept_with_the_costs() {
        let mut costs = Calibration::shipped().unwrap();
        costs.node_cpu = Work::default();
        costs.node_cpu[Kind::Node] = 0.1;
        // A second of each phase was predicted; five and two were taken.
        let unseen = Unseen::of(&costs, &[report()]).unwrap();
        assert_eq!(unseen.runs, ["other"]);
        for (seen, expected) in [
            (unseen.lowest, -0.8),
            (unseen.highest, -0.5),
            (unseen.together, -5.0 / 7.0),
        ] {
            assert!((seen - expected).abs() < 1e-6, "{unseen:?}");
        }
        assert_eq!(Unseen::of(&costs, &[]), None);

        costs.unseen = Some(unseen);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        costs.write(&file).unwrap();
        assert_eq!(Calibration::read(&file).unwrap(), costs);
    }
}
