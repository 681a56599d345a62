//! What a plan costs a month.

use super::{
    load::Load,
    prices::{HOURS, Prices},
    size::{Headroom, Plan},
};

/// Disk and address of a node, and its metrics every minute; dollars a month.
pub(super) fn a_node(prices: &Prices) -> f64 {
    let other = &prices.other;
    other.node_disk_month + other.address_hour * HOURS + other.node_metrics_month
}

/// Dollars a month, and for what. Left out are tax, free tiers, and what the stack makes only when it is asked to.
pub(super) fn month(
    plan: &Plan,
    load: &Load,
    prices: &Prices,
    headroom: &Headroom,
) -> Vec<(&'static str, f64)> {
    let other = &prices.other;
    let (nodes, dollars) = plan
        .nodes
        .first()
        .map_or((0.0, 0.0), |nodes| (nodes.count, nodes.month));
    // The mean over the month: units follow the load, as far as it is not connections.
    let units = (plan.capacity_units / load.peak).max(1.0);
    let disk_gib = plan.stored_gib.max(20.0);
    let mut month = vec![
        ("nodes", dollars),
        ("nodes' disks, addresses and metrics", nodes * a_node(prices)),
        (
            "load balancer, with an address in each zone",
            HOURS
                * (other.balancer_hour
                    + headroom.zones * other.address_hour
                    + units * other.capacity_unit_hour),
        ),
        ("traffic to clients", other.out(plan.out_gb)),
        (
            "traffic of the bus between zones",
            plan.bus_gb * other.between_zones_gb * (1.0 - 1.0 / headroom.zones),
        ),
    ];
    if let Some(redis) = &plan.redis {
        month.push(("Redis, with replicas", 2.0 * redis.month));
    }
    if let Some(postgres) = &plan.postgres {
        let operations = (load.messages() - 3000.0).max(0.0);
        month.push((
            "Postgres, with a standby and monitoring",
            2.0 * postgres.month + postgres.count * other.postgres_monitoring_month,
        ));
        month.push((
            "Postgres' disks",
            2.0 * (disk_gib * other.postgres_gib_month + operations * other.postgres_iops_month),
        ));
        month.push(("backups", disk_gib * other.backup_gib_month));
    }
    month.push((
        "key, secrets, logs, metrics and alarms",
        other.secrets_month
            + other.metrics_and_alarms_month
            + other.logs_month
            + nodes * other.logs_of_a_node_month,
    ));
    month
}
