//! From a load and what things cost to machines and money.

use super::{
    calibration::Calibration,
    cost,
    fit::{Costs, predicted},
    load::Load,
    prices::{HOURS, Machine, Prices},
    work::{Kind, Work},
};

/// How full machines may be.
#[derive(Debug, Clone, Copy, PartialEq, clap::Args)]
pub struct Headroom {
    /// Zones that nodes are spread over; one may be lost at the busiest time.
    #[arg(long, default_value_t = 2.0, value_parser = zones)]
    pub zones: f64,
    /// How busy processors may be in the busiest hour.
    #[arg(long, default_value_t = 0.5, value_parser = super::load::share)]
    pub busy: f64,
    /// How busy they may be when a zone is lost.
    #[arg(long, default_value_t = 0.9, value_parser = super::load::share)]
    pub busy_without_zone: f64,
    /// How full memory may be.
    #[arg(long, default_value_t = 0.7, value_parser = super::load::share)]
    pub full: f64,
    /// How full it may be when a zone is lost.
    #[arg(long, default_value_t = 0.85, value_parser = super::load::share)]
    pub full_without_zone: f64,
    /// What one virtual processor does, in cores of the machine that the costs were measured on.
    #[arg(long, default_value_t = 1.0, value_parser = super::load::share)]
    pub vcpu: f64,
    /// Processor work that is planned for, in what the model says: on runs that it had not seen it said as little as half.
    #[arg(long, default_value_t = 2.0, value_parser = factor)]
    pub reserve: f64,
}

impl Headroom {
    /// Cores for this work, the reserve included.
    fn cores(&self, costs: &Costs, work: &Work) -> f64 {
        self.reserve * predicted(costs, work) / self.vcpu
    }
}

/// So many machines of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Machines {
    /// Of which kind.
    pub machine: Machine,
    /// How many.
    pub count: f64,
    /// What decides how many.
    pub because: &'static str,
    /// Cores that are busy in all of them together, the reserve included.
    pub cores: f64,
    /// Dollars a month, for machines alone.
    pub month: f64,
}

/// What a load needs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What nodes could run on, the cheapest first. Never empty.
    pub nodes: Vec<Machines>,
    /// Shards of Redis, each with a replica in another zone.
    pub redis: Option<Machines>,
    /// Postgres, with a standby in another zone; more than one: rooms would have to be spread over so many.
    pub postgres: Option<Machines>,
    /// What is done in a second of the busiest hour.
    pub work: Work,
    /// Disk of Postgres, in GiB, when messages are as old as they may get.
    pub stored_gib: f64,
    /// Commits a second that end on Postgres' disk, at most one for each event.
    pub commits: f64,
    /// To clients in a month, in GB.
    pub out_gb: f64,
    /// Between nodes and Redis in a month, in GB.
    pub bus_gb: f64,
    /// Capacity units of the load balancer in the busiest hour.
    pub capacity_units: f64,
    /// Dollars a month, and for what.
    pub month: Vec<(&'static str, f64)>,
}

/// Shards of one cluster of Redis, each with a replica: ElastiCache takes 500 nodes.
pub(super) const MOST_SHARDS: f64 = 250.0;
/// As many as the stack makes for high availability: two of them can agree that the third is gone.
const FEWEST_SHARDS: f64 = 3.0;
/// Burstable machines of a kind, at most: as many nodes as the stack takes.
const MOST_BURSTABLE: f64 = 5.0;
/// Connections of a node to Postgres, as the stack sets them; a node more is there during an update.
const STORE_POOL: f64 = 12.0;
/// Connections that RDS lets Postgres take, for each GiB and at most.
const CONNECTIONS_A_GIB: f64 = 112.0;
const MOST_CONNECTIONS: f64 = 5000.0;
/// Events that a room keeps at hand at most.
const KEPT_EVENTS: f64 = 256.0;
const GIB: f64 = (1_u64 << 30) as f64;

/// The plan; `None` where no kind of machine does, however many.
pub fn plan(load: &Load, costs: &Calibration, prices: &Prices, headroom: &Headroom) -> Option<Plan> {
    let mut nodes: Vec<Machines> = prices
        .instance
        .iter()
        .filter_map(|machine| nodes(load, costs, machine, headroom))
        .collect();
    let with_rest = |of: &Machines| of.month + of.count * cost::a_node(prices);
    nodes.sort_by(|one, other| with_rest(one).total_cmp(&with_rest(other)));
    let chosen = nodes.first()?.clone();
    let work = load.work(chosen.count);
    let messages = load.messages_a_month();
    let out_gb = messages * load.audience() * costs.bytes.event_to_client / 1e9;
    // One copy from the node that wrote to Redis, and one to each node that has the room.
    let copies = load.nodes_of_a_room(chosen.count) + 1.0;
    let bus_gb = messages * copies * costs.bytes.event_on_bus / 1e9;
    let stored_gib = load.messages() / load.peak * load.keep_days * 86_400.0 * costs.bytes.event_stored / GIB;
    let capacity_units = (work[Kind::Connect] / 25.0)
        .max(work[Kind::Open] / 3000.0)
        .max(out_gb * load.peak / HOURS);
    let heads = load.rooms() * costs.bytes.head_kept / GIB;
    let redis = shards(
        &prices.redis,
        headroom.cores(&costs.redis_cpu, &work),
        heads,
        headroom,
    );
    let connections = (chosen.count + 1.0) * STORE_POOL;
    let postgres = one(
        &prices.postgres,
        headroom.cores(&costs.postgres_cpu, &work),
        connections,
        headroom,
    );
    let mut plan = Plan {
        nodes,
        redis,
        postgres,
        commits: load.messages(),
        work,
        stored_gib,
        out_gb,
        bus_gb,
        capacity_units,
        month: Vec::new(),
    };
    plan.month = cost::month(&plan, load, prices, headroom);
    Some(plan)
}

/// As many of one kind of machine as the load needs: more nodes are more work, so it goes round until it is enough.
fn nodes(load: &Load, costs: &Calibration, machine: &Machine, headroom: &Headroom) -> Option<Machines> {
    let mut count = headroom.zones.max(2.0);
    for _ in 0..500 {
        let cores = headroom.cores(&costs.node_cpu, &load.work(count));
        let left = left(count, headroom.zones);
        let memory = machine.memory_gib * GIB;
        // Who was on the zone that is lost comes back on the nodes left, with all that costs processor and memory.
        let needs = [
            (cores / (machine.vcpu * headroom.busy), "processor"),
            (
                with_zone(
                    cores / (machine.vcpu * headroom.busy_without_zone),
                    headroom.zones,
                ),
                "processor without a zone",
            ),
            (
                count * node_bytes(load, costs, count) / (memory * headroom.full),
                "memory",
            ),
            (
                with_zone(
                    left * node_bytes(load, costs, left) / (memory * headroom.full_without_zone),
                    headroom.zones,
                ),
                "memory without a zone",
            ),
            (headroom.zones.max(2.0), "one in each zone"),
        ];
        let (need, because) = needs.into_iter().max_by(|one, other| one.0.total_cmp(&other.0))?;
        if too_many(machine, need.ceil()) {
            return None;
        }
        if need.ceil() <= count {
            return Some(Machines {
                machine: machine.clone(),
                count,
                because,
                cores,
                month: count * machine.hour * HOURS,
            });
        }
        if need > 1e7 {
            return None;
        }
        count = need.ceil();
    }
    None
}

/// Of so many nodes, those left when the zone with the most of them is lost.
fn left(count: f64, zones: f64) -> f64 {
    count - (count / zones).ceil()
}

/// The fewest nodes of which so many are left without a zone.
fn with_zone(needed: f64, zones: f64) -> f64 {
    (needed.ceil() * zones / (zones - 1.0)).ceil()
}

/// Memory of one of so many nodes, in bytes.
fn node_bytes(load: &Load, costs: &Calibration, count: f64) -> f64 {
    let bytes = &costs.bytes;
    let rooms = load.rooms() * load.nodes_of_a_room(count) / count;
    let of_a_day = load.messages() / load.peak * 86_400.0 / load.rooms();
    let kept = of_a_day.min(KEPT_EVENTS) * bytes.event_kept;
    bytes.node + load.connections() / count * (bytes.connection + bytes.socket) + rooms * (bytes.room + kept)
}

/// Redis: so many cores and GiB of heads in as many shards as are cheapest, of those that one cluster takes.
fn shards(machines: &[Machine], cores: f64, heads: f64, headroom: &Headroom) -> Option<Machines> {
    let ways = machines.iter().map(|machine| {
        let needs = [
            (cores / (machine.vcpu * headroom.busy), "processor"),
            (heads / (machine.memory_gib * headroom.full), "memory"),
            (FEWEST_SHARDS, "shards that can agree"),
        ];
        enough(machine, cores, &needs)
    });
    ways.min_by(|one, other| {
        let unfit = |of: &Machines| (of.count > MOST_SHARDS, too_many(&of.machine, of.count));
        unfit(one)
            .cmp(&unfit(other))
            .then(one.month.total_cmp(&other.month))
    })
}

/// Postgres: so many cores and connections in one machine if any has them, else in several of the largest.
fn one(machines: &[Machine], cores: f64, connections: f64, headroom: &Headroom) -> Option<Machines> {
    let ways = machines.iter().map(|machine| {
        let takes = (machine.memory_gib * CONNECTIONS_A_GIB).min(MOST_CONNECTIONS);
        let needs = [
            (cores / (machine.vcpu * headroom.busy), "processor"),
            (connections / (takes * headroom.full), "connections"),
        ];
        enough(machine, cores, &needs)
    });
    ways.min_by(|one, other| {
        let by_count = one.count.total_cmp(&other.count);
        by_count.then(one.month.total_cmp(&other.month))
    })
}

/// As many as the largest need takes. `needs` is not empty.
fn enough(machine: &Machine, cores: f64, needs: &[(f64, &'static str)]) -> Machines {
    let most = needs.iter().max_by(|one, other| one.0.total_cmp(&other.0));
    let (need, because) = most.copied().unwrap_or_default();
    let count = need.ceil().max(1.0);
    Machines {
        machine: machine.clone(),
        count,
        because,
        cores,
        month: count * machine.hour * HOURS,
    }
}

/// Above what they may use all the time, burstable machines live on credits; in a large cluster some machine is always above it.
fn too_many(machine: &Machine, count: f64) -> bool {
    machine.burstable && count > MOST_BURSTABLE
}

/// A factor of 1 or more.
fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 1.0 && value.is_finite() => Ok(value),
        _ => Err("a number, 1 or more".into()),
    }
}

fn zones(text: &str) -> Result<f64, String> {
    match text.parse::<u8>() {
        Ok(value) if value >= 2 => Ok(f64::from(value)),
        _ => Err("2 or more".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_nodes_that_leave_enough_without_a_zone() {
        for zones in [2.0, 3.0, 4.0] {
            for needed in 1..200_u8 {
                let needed = f64::from(needed);
                let count = with_zone(needed, zones);
                assert!(left(count, zones) >= needed, "{needed} over {zones}: {count}");
                assert!(
                    left(count - 1.0, zones) < needed,
                    "{needed} over {zones}: {count}"
                );
            }
        }
    }
}
