//! Rooms of all sizes, spread over nodes and shards by chance: how far reality is from means.

use fastrand::Rng;

use super::{load::Load, work::spread};
use crate::report::number::{ratio, real};

/// Rooms that are made up, at most.
const ROOMS: usize = 50_000;
/// Rooms that there must be for each node or shard, for one room not to decide.
const ROOMS_FOR_EACH: usize = 500;
/// Messages that are written.
const MESSAGES: usize = 200_000;
/// The largest room, in people that are connected.
const LARGEST: f64 = 20_000.0;
/// Sizes fall by this power: a few large rooms, and many small ones.
const SHAPE: f64 = 1.5;

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulated {
    /// Rooms that were made up.
    pub rooms: usize,
    /// People of the largest of them that are connected.
    pub largest: usize,
    /// Clients that a message is shown to, in the mean over messages.
    pub audience: f64,
    /// Nodes that a message reaches.
    pub nodes_of_a_message: f64,
    /// The same, if all rooms were of the mean's size: what the model goes by.
    pub nodes_by_model: f64,
    /// Of the frames that nodes take from the bus: those for a single client.
    pub for_one_client: f64,
    /// Deliveries of the busiest node, in means; `None` where the rooms that were made up are too few to say.
    pub busiest_node: Option<f64>,
    /// Bus frames of the busiest shard, in means; as above.
    pub busiest_shard: Option<f64>,
}

/// Plays it; the same for the same seed.
pub fn simulate(load: &Load, nodes: usize, shards: usize, seed: u64) -> Simulated {
    let mut chance = Rng::with_seed(seed);
    let rooms = rooms(load, nodes.max(1), &mut chance);
    let mut upto = Vec::with_capacity(rooms.len());
    let mut people = 0;
    for room in &rooms {
        people += room.len();
        upto.push(people);
    }
    let (mut deliveries, mut frames) = (vec![0_u64; nodes.max(1)], vec![0_u64; shards.max(1)]);
    let (mut shown, mut reached, mut alone) = (0_u64, 0_u64, 0_u64);
    for _ in 0..MESSAGES {
        // Who writes decides in which room: large rooms have more of them.
        let writer = chance.usize(..people);
        let at = upto.partition_point(|upto| *upto <= writer);
        let room = &rooms[at];
        let shard = at % frames.len();
        for group in room.chunk_by(|one, other| one == other) {
            deliveries[group[0]] += group.len() as u64;
            shown += group.len() as u64;
            reached += 1;
            alone += u64::from(group.len() == 1);
            frames[shard] += 1;
        }
    }
    let busiest = |of: &[u64]| {
        let mean = ratio(real(of.iter().sum()), real(of.len() as u64));
        let most = real(of.iter().copied().max().unwrap_or(0));
        (rooms.len() / of.len() >= ROOMS_FOR_EACH).then(|| ratio(most, mean))
    };
    let audience = real(shown) / real(MESSAGES as u64);
    Simulated {
        rooms: rooms.len(),
        largest: rooms.iter().map(Vec::len).max().unwrap_or(0),
        audience,
        nodes_of_a_message: real(reached) / real(MESSAGES as u64),
        nodes_by_model: spread(real(nodes.max(1) as u64), audience),
        for_one_client: ratio(real(alone), real(reached)),
        busiest_node: busiest(&deliveries),
        busiest_shard: busiest(&frames),
    }
}

/// The nodes of each room's people, in order. Over the people who write, rooms have the load's audience in the mean.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at least 1, and bounded"
)]
fn rooms(load: &Load, nodes: usize, chance: &mut Rng) -> Vec<Vec<usize>> {
    let sizes: Vec<f64> = (0..ROOMS)
        .map(|_| (1.0 - chance.f64()).powf(-1.0 / SHAPE).min(LARGEST))
        .collect();
    let weighted = |scale: f64| {
        let scaled = sizes
            .iter()
            .map(|size| (size * scale).round().clamp(1.0, LARGEST));
        let (squares, sum) = scaled.fold((0.0, 0.0), |(squares, sum), size| {
            (squares + size * size, sum + size)
        });
        squares / sum
    };
    // The mean over writers grows with the scale.
    let (mut low, mut high) = (0.0, LARGEST);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if weighted(middle) < load.audience() {
            low = middle;
        } else {
            high = middle;
        }
    }
    let people = |size: &f64| (size * low).round().clamp(1.0, LARGEST) as usize;
    sizes
        .iter()
        .map(|size| {
            let mut on: Vec<usize> = (0..people(size)).map(|_| chance.usize(..nodes)).collect();
            on.sort_unstable();
            on
        })
        .collect()
}
