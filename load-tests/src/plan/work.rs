//! What a cluster has done in a while, by kinds of work, and what it took.

use std::{
    collections::BTreeMap,
    ops::{Index, IndexMut},
};

use serde::{Deserialize, Serialize};

use crate::{
    measure::Timing,
    report::{PhaseReport, Report, number::real},
};

/// What costs, each with a cost of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A node that is there, for a second.
    Node,
    /// A connection that is made: upgrade, `hello`, `welcome`. With the rooms that it resumes, which nobody has measured apart.
    Connect,
    /// A room that is opened by `join`.
    Join,
    /// A connection that is open, for a second.
    Open,
    /// An event that is taken from a client, committed, and acknowledged.
    Commit,
    /// An event that another node takes from the bus.
    Copy,
    /// An event that is shown to a client.
    Delivery,
    /// A notice that somebody types which is shown to a client.
    Notice,
    /// A read marker that is kept.
    Read,
    /// A page of history that is asked for over HTTP.
    Page,
    /// A room's head that a node asks of the store.
    StoreHead,
    /// A room's head that a node asks of the bus.
    BusHead,
}

/// How much of each kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Kind, f64>", into = "BTreeMap<Kind, f64>")]
pub struct Work([f64; Kind::ALL.len()]);

/// Pause between two rounds of asking for heads, in seconds.
const RECONCILE_SECONDS: f64 = 0.9;
/// Heads that a node asks of the store in a round; the others it asks of the bus.
const STORE_HEADS: f64 = 2000.0;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Node,
        Self::Connect,
        Self::Join,
        Self::Open,
        Self::Commit,
        Self::Copy,
        Self::Delivery,
        Self::Notice,
        Self::Read,
        Self::Page,
        Self::StoreHead,
        Self::BusHead,
    ];

    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node, a second",
            Self::Connect => "connection made",
            Self::Join => "room opened by join",
            Self::Open => "connection open, a second",
            Self::Commit => "event committed",
            Self::Copy => "event taken from the bus",
            Self::Delivery => "event shown to a client",
            Self::Notice => "notice of typing shown",
            Self::Read => "read marker kept",
            Self::Page => "page of history over HTTP",
            Self::StoreHead => "head asked of the store",
            Self::BusHead => "head asked of the bus",
        }
    }
}

impl Index<Kind> for Work {
    type Output = f64;

    fn index(&self, kind: Kind) -> &f64 {
        &self.0[kind as usize]
    }
}

impl IndexMut<Kind> for Work {
    fn index_mut(&mut self, kind: Kind) -> &mut f64 {
        &mut self.0[kind as usize]
    }
}

impl From<BTreeMap<Kind, f64>> for Work {
    fn from(amounts: BTreeMap<Kind, f64>) -> Self {
        let mut work = Self::default();
        for (kind, amount) in amounts {
            work[kind] = amount;
        }
        work
    }
}

impl From<Work> for BTreeMap<Kind, f64> {
    fn from(work: Work) -> Self {
        let some = Kind::ALL.into_iter().filter(|kind| work[*kind] > 0.0);
        some.map(|kind| (kind, work[kind])).collect()
    }
}

/// On how many of `nodes` nodes a room is that has so many people, who are spread by chance.
pub fn spread(nodes: f64, people: f64) -> f64 {
    if nodes <= 1.0 {
        return nodes.min(people);
    }
    nodes * -((1.0 - 1.0 / nodes).ln() * people).exp_m1()
}

/// Heads that a node asks of the store and of the bus in a second, if it has members in so many rooms.
pub fn heads(rooms: f64) -> (f64, f64) {
    let of_store = rooms.min(STORE_HEADS);
    (
        of_store / RECONCILE_SECONDS,
        (rooms - of_store) / RECONCILE_SECONDS,
    )
}

/// A phase of a run, as the model sees it.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    /// The run's name, its nodes, and the phase's name.
    pub name: String,
    /// What was done.
    pub work: Work,
    /// Processor time of the nodes, in seconds.
    pub node_cpu: f64,
    /// Of Postgres, where there was one of its own.
    pub postgres_cpu: Option<f64>,
    /// Of Redis.
    pub redis_cpu: Option<f64>,
}

/// Shorter phases say more of the edges than of themselves, in seconds.
const SHORTEST: f64 = 3.0;

/// The phases of a run that are long enough; none where the nodes' processor time is not known.
pub(super) fn observed(report: &Report) -> Vec<Observed> {
    let long = report
        .phases
        .iter()
        .filter(|phase| phase.to_s - phase.from_s >= SHORTEST);
    long.filter_map(|phase| of_phase(report, phase)).collect()
}

fn of_phase(report: &Report, phase: &PhaseReport) -> Option<Observed> {
    let (from, to) = (phase.from_s, phase.to_s);
    let node_cpu = cpu(report, "node", from, to)?;
    let nodes = real(
        report
            .costs
            .iter()
            .filter(|cost| is_node(cost.server, &cost.process))
            .count() as u64,
    );
    let open = connection_seconds(report, from, to);
    let connections = open / (to - from);
    let (rooms, people) = rooms(report, connections);
    let on = spread(nodes, people);
    let (of_store, of_bus) = heads(rooms * on / nodes);
    let seconds = (to - from) * nodes;
    let mut work = Work::default();
    work[Kind::Node] = seconds;
    work[Kind::Connect] = real(phase.counts.connected);
    work[Kind::Join] = phase.latencies.get(Timing::Join).map_or(0.0, |of| real(of.len()));
    work[Kind::Open] = open;
    work[Kind::Commit] = real(phase.counts.committed);
    work[Kind::Copy] = real(phase.counts.committed) * (on - 1.0).max(0.0);
    work[Kind::Delivery] = real(phase.counts.delivered);
    work[Kind::Notice] = real(phase.counts.committed) * talk(report, "typing") * people;
    work[Kind::Read] = real(phase.counts.committed) * talk(report, "reads");
    work[Kind::Page] = real(phase.counts.requests);
    work[Kind::StoreHead] = of_store * seconds;
    work[Kind::BusHead] = of_bus * seconds;
    Some(Observed {
        name: format!("{}, {nodes} node(s), {}", report.run.name, phase.name),
        work,
        node_cpu,
        postgres_cpu: cpu(report, "postgres", from, to),
        redis_cpu: cpu(report, "redis", from, to),
    })
}

fn is_node(server: bool, process: &str) -> bool {
    server && process.starts_with("node")
}

/// Processor time of all servers' processes whose name begins so, between two times.
fn cpu(report: &Report, prefix: &str, from: f64, to: f64) -> Option<f64> {
    let of = report.series.iter().filter(|series| series.name == "processor");
    let ours = of.filter(|series| {
        let mut costs = report.costs.iter();
        series.label.starts_with(prefix) && costs.any(|cost| cost.server && cost.process == series.label)
    });
    let parts: Vec<f64> = ours
        .map(|series| {
            let pairs = series.points.windows(2);
            pairs
                .map(|pair| {
                    let common = pair[1].0.min(to) - pair[0].0.max(from);
                    pair[1].1 / 100.0 * common.max(0.0)
                })
                .sum()
        })
        .collect();
    (!parts.is_empty()).then(|| parts.iter().sum())
}

/// The area below the chart of connections.
fn connection_seconds(report: &Report, from: f64, to: f64) -> f64 {
    let all = report.series.iter().filter(|series| series.name == "connections");
    all.map(|series| {
        let inside = series
            .points
            .iter()
            .map(|point| point.0)
            .filter(|at| *at > from && *at < to);
        let mut times = vec![from];
        times.extend(inside);
        times.push(to);
        times
            .windows(2)
            .map(|pair| f64::midpoint(series.at(pair[0]), series.at(pair[1])) * (pair[1] - pair[0]))
            .sum::<f64>()
    })
    .sum()
}

/// So many of these for each thing that is written, as the scenario says.
fn talk(report: &Report, name: &str) -> f64 {
    let scenario = report.run.settings.get("scenario");
    let value = scenario.and_then(|scenario| scenario.get("talk")?.get(name)?.as_f64());
    value.unwrap_or(0.0)
}

/// How many rooms there are, and how many people are in each while so many are connected: as the scenario says.
fn rooms(report: &Report, connections: f64) -> (f64, f64) {
    let scenario = report
        .run
        .settings
        .get("scenario")
        .and_then(|scenario| scenario.get("rooms"));
    let number = |name: &str, otherwise: f64| {
        let value = scenario
            .and_then(|rooms| rooms.get(name))
            .and_then(serde_json::Value::as_f64);
        value.unwrap_or(otherwise)
    };
    let most = super::peak_connections(report);
    let of_each = number("of_each", 1.0);
    let rooms = match number("count", 0.0) {
        count if count > 0.0 => count,
        _ => (most * of_each / number("people_in_each", 20.0)).max(1.0).round(),
    };
    (rooms, connections * of_each / rooms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_spread_over_nodes() {
        assert!((spread(1.0, 20.0) - 1.0).abs() < 1e-9);
        assert!((spread(2.0, 2.0) - 1.5).abs() < 1e-9);
        // More nodes than people: nearly each on a node of its own.
        assert!((spread(10_000.0, 15.0) - 15.0).abs() < 0.02);
        assert!((spread(3.0, 500.0) - 3.0).abs() < 1e-6);
        assert!((spread(1.0, 0.0)).abs() < 1e-9);
    }

    #[test]
    fn the_store_is_asked_for_few_heads_and_the_bus_for_the_others() {
        let close =
            |one: (f64, f64), other: (f64, f64)| (one.0 - other.0).abs() + (one.1 - other.1).abs() < 1e-6;
        assert!(close(heads(900.0), (1000.0, 0.0)));
        assert!(close(heads(2900.0), (2000.0 / 0.9, 1000.0)));
    }
}
