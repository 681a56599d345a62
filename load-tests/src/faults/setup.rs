//! The sizes of the scenarios.

use std::time::Duration;

use super::{FaultsArgs, Figure, Outcome};
use crate::{
    chaos::CrowdOptions,
    check::{Distribution, Phase, Wait},
};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Each node is killed (SIGKILL) once: its clients are back and caught up within 2 s (p99).
    KillNode,
    /// Redis is gone: delivery between nodes takes less than 1.5 s (p99).
    RedisGone,
    /// Redis is there, and every message of the bus is lost: delivery between nodes takes less than 1.5 s (p99).
    BusDrops,
    /// Postgres is gone: sends are pushed back, repeated, and stored once; recent events are still read.
    PostgresGone,
    /// One node leaves: within its time, and nobody waits longer than 2 s for anything.
    Drain,
    /// One more node comes: within two minutes all nodes have the mean of connections, but for 10 %.
    FourthNode,
    /// All nodes are killed and started at once: a resumed client costs less than 0.1 reads of the database.
    RestartAll,
    /// One client of a busy room reads nothing: the others do not notice, and the node's memory hardly grows.
    StalledReader,
}

/// The size of a run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What is done, in a word.
    pub name: &'static str,
    /// Nodes at first.
    pub nodes: usize,
    /// Clients.
    pub clients: u32,
    /// Rooms.
    pub rooms: u32,
    /// Messages a second.
    pub rate: f64,
    /// Longest text, in bytes.
    pub text_bytes: usize,
    /// How long it lasts.
    pub hold: Duration,
}

impl Scenario {
    /// The size of this scenario, with what was asked for in its place.
    pub fn setup(self, args: &FaultsArgs) -> Setup {
        let (name, nodes, clients, rooms, rate, hold) = match self {
            Self::KillNode => ("kill-node", 3, 600, 30, 60.0, 5.0),
            Self::RedisGone => ("redis-gone", 3, 300, 15, 30.0, 60.0),
            Self::BusDrops => ("bus-drops", 3, 300, 15, 30.0, 60.0),
            Self::PostgresGone => ("postgres-gone", 3, 300, 15, 30.0, 60.0),
            Self::Drain => ("drain", 3, 5_000, 250, 50.0, 0.0),
            Self::FourthNode => ("fourth-node", 3, 6_000, 300, 50.0, 120.0),
            Self::RestartAll => ("restart-all", 3, 10_000, 200, 50.0, 0.0),
            Self::StalledReader => ("stalled-reader", 1, 1_000, 1, 20.0, 12.0),
        };
        Setup {
            name,
            nodes: args.nodes.unwrap_or(nodes),
            clients: args.clients.unwrap_or(clients),
            rooms: args.rooms.unwrap_or(rooms),
            rate: args.rate.unwrap_or(rate),
            text_bytes: if self == Self::StalledReader { 6_000 } else { 180 },
            hold: Duration::from_secs_f64(args.hold_seconds.unwrap_or(hold).max(0.0)),
        }
    }

    /// Adds the figures that the clients' journals give, and what they have to be.
    pub(super) fn judge(self, outcome: &mut Outcome) {
        let of = |fault: &str, phase, wait| outcome.check.waits_of(fault, phase, wait);
        let p99 = |name: &str, found: Option<Distribution>, limit: f64| {
            Figure::below(name, found.map(|of| of.p99_ms), "ms", limit)
        };
        let max = |name: &str, found: Option<Distribution>, limit: f64| {
            Figure::below(name, found.map(|of| of.max_ms), "ms", limit)
        };
        let figures = match self {
            Self::KillNode => vec![p99(
                "cut off to caught up, p99",
                of("kill-node", Phase::During, Wait::Back),
                2_000.0,
            )],
            Self::RedisGone | Self::BusDrops => {
                let name = if self == Self::RedisGone {
                    "redis-gone"
                } else {
                    "bus-drops"
                };
                vec![p99(
                    "delivery to another node, p99",
                    of(name, Phase::During, Wait::CrossNode),
                    1_500.0,
                )]
            }
            Self::PostgresGone => {
                let pushed_back = outcome.check.counts.pushed_back;
                vec![Figure::above("answers that push back", pushed_back, "", 1)]
            }
            Self::Drain => vec![
                max(
                    "longest send to ack",
                    of("drain", Phase::During, Wait::Ack),
                    2_000.0,
                ),
                max(
                    "longest commit to delivery",
                    of("drain", Phase::During, Wait::Delivery),
                    2_000.0,
                ),
            ],
            Self::RestartAll => vec![Figure::note(
                "cut off to caught up, p99",
                of("restart-all", Phase::During, Wait::Back).map_or(0.0, |of| of.p99_ms),
                "ms",
            )],
            Self::StalledReader => {
                let control = of("control", Phase::During, Wait::Delivery).map_or(0.0, |of| of.p99_ms);
                let stalled = of("stalled-reader", Phase::During, Wait::Delivery).map(|of| of.p99_ms);
                vec![
                    Figure::note("delivery without it, p99", control, "ms"),
                    // As good as the same: a quarter more, or a few milliseconds.
                    Figure::below(
                        "delivery beside it, p99",
                        stalled,
                        "ms",
                        (control * 1.25).max(control + 5.0),
                    ),
                ]
            }
            Self::FourthNode => Vec::new(),
        };
        outcome.figures.extend(figures);
    }
}

impl Setup {
    /// In words.
    pub fn describe(&self) -> String {
        format!(
            "{}: {} nodes, {} clients in {} rooms, {} messages a second",
            self.name, self.nodes, self.clients, self.rooms, self.rate
        )
    }

    pub(super) fn crowd(&self, seed: u64) -> CrowdOptions {
        CrowdOptions {
            clients: self.clients,
            rooms: self.rooms,
            // Signs of life of very many clients would be a load of their own.
            ping_after: Duration::from_secs(if self.clients > 1_000 { 10 } else { 2 }),
            seed,
            ..CrowdOptions::default()
        }
    }
}
