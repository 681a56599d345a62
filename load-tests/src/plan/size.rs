//! From a load and what things cost to machines and money.

use super::{
    calibration::Calibration,
    fit::predicted,
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
    /// Cores that are busy in all of them together.
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
    let with_rest = |of: &Machines| of.month + of.count * a_node(prices);
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
    let redis_cores = predicted(&costs.redis_cpu, &work) / headroom.vcpu;
    let postgres_cores = predicted(&costs.postgres_cpu, &work) / headroom.vcpu;
    let redis = shards(&prices.redis, redis_cores, headroom.busy);
    let postgres = one(&prices.postgres, postgres_cores, headroom.busy);
    let other = &prices.other;
    // The mean over the month: units follow the load, as far as it is not connections.
    let units = (capacity_units / load.peak).max(1.0);
    let mut month = vec![
        ("nodes", chosen.month),
        ("nodes' disks and addresses", chosen.count * a_node(prices)),
        (
            "load balancer",
            HOURS * (other.balancer_hour + units * other.capacity_unit_hour),
        ),
        ("traffic to clients", other.out(out_gb)),
        (
            "traffic of the bus between zones",
            bus_gb * other.between_zones_gb * (1.0 - 1.0 / headroom.zones),
        ),
    ];
    if let Some(redis) = &redis {
        month.push(("Redis, with replicas", 2.0 * redis.month));
    }
    if let Some(postgres) = &postgres {
        let operations = (load.messages() - 3000.0).max(0.0);
        month.push(("Postgres, with a standby", 2.0 * postgres.month));
        month.push((
            "Postgres' disks",
            2.0 * (stored_gib.max(20.0) * other.postgres_gib_month + operations * other.postgres_iops_month),
        ));
    }
    Some(Plan {
        nodes,
        redis,
        postgres,
        commits: load.messages(),
        work,
        stored_gib,
        out_gb,
        bus_gb,
        capacity_units,
        month,
    })
}

/// Disk and address of a node, dollars a month.
fn a_node(prices: &Prices) -> f64 {
    prices.other.node_disk_month + prices.other.address_hour * HOURS
}

/// As many of one kind of machine as the load needs: more nodes are more work, so it goes round until it is enough.
fn nodes(load: &Load, costs: &Calibration, machine: &Machine, headroom: &Headroom) -> Option<Machines> {
    let mut count = headroom.zones.max(2.0);
    for _ in 0..500 {
        let cores = predicted(&costs.node_cpu, &load.work(count)) / headroom.vcpu;
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

/// So many cores in as many shards as are cheapest, of those that one cluster takes.
fn shards(machines: &[Machine], cores: f64, busy: f64) -> Option<Machines> {
    let ways = machines.iter().map(|machine| enough(machine, cores, busy));
    ways.min_by(|one, other| {
        let by_size = (one.count > MOST_SHARDS).cmp(&(other.count > MOST_SHARDS));
        by_size.then(one.month.total_cmp(&other.month))
    })
}

/// So many cores in one machine if any has them, else in several of the largest.
fn one(machines: &[Machine], cores: f64, busy: f64) -> Option<Machines> {
    let ways = machines.iter().map(|machine| enough(machine, cores, busy));
    ways.min_by(|one, other| {
        let by_count = one.count.total_cmp(&other.count);
        by_count.then(one.month.total_cmp(&other.month))
    })
}

fn enough(machine: &Machine, cores: f64, busy: f64) -> Machines {
    let count = (cores / (machine.vcpu * busy)).ceil().max(1.0);
    Machines {
        machine: machine.clone(),
        count,
        because: "processor",
        cores,
        month: count * machine.hour * HOURS,
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
