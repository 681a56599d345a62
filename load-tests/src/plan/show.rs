//! A plan, and a check of the model, as text.

use std::fmt::Write as _;

use super::{
    Calibration, Headroom, Kind, Load, Machines, Plan, Prices, Simulated, Unseen, calibration::error,
    fit::predicted, size::MOST_SHARDS, work::observed,
};
use crate::report::{
    Report,
    number::{self, short},
    table,
};

/// Everything, with what it is based on.
pub(super) fn plan(
    load: &Load,
    plan: &Plan,
    costs: &Calibration,
    prices: &Prices,
    headroom: &Headroom,
) -> String {
    let mut text = String::new();
    let work = &plan.work;
    let _ = writeln!(
        text,
        "{} people, {} connected in the busiest hour, in {} rooms with {} of each room's people\n",
        short(load.people),
        short(load.connections()),
        short(load.rooms()),
        short(load.audience())
    );
    let mut table = table::numbers(&[
        "in a second of the busiest hour",
        "",
        "cores of nodes",
        "Postgres",
        "Redis",
    ]);
    for kind in Kind::ALL {
        let cores = |costs: f64| {
            if costs > 0.0 {
                short(costs * work[kind])
            } else {
                "–".into()
            }
        };
        table.add_row(vec![
            kind.name().to_owned(),
            short(work[kind]),
            cores(costs.node_cpu[kind]),
            cores(costs.postgres_cpu[kind]),
            cores(costs.redis_cpu[kind]),
        ]);
    }
    let _ = writeln!(text, "{}\n", table.trim_fmt());
    let mut table = table::numbers(&["nodes", "how many", "because of", "$ a month"]);
    for machines in &plan.nodes {
        table.add_row(vec![
            machines.machine.name.clone(),
            short(machines.count),
            machines.because.to_owned(),
            short(machines.month),
        ]);
    }
    let _ = writeln!(text, "{}\n", table.trim_fmt());
    let _ = writeln!(text, "{}", servers(plan));
    let mut table = table::numbers(&["$ a month, with the first kind of nodes", ""]);
    for (what, dollars) in &plan.month {
        table.add_row(vec![(*what).to_owned(), short(*dollars)]);
    }
    let all: f64 = plan.month.iter().map(|(_, dollars)| dollars).sum();
    table.add_row(vec!["together".to_owned(), short(all)]);
    table.add_row(vec![
        "for each connected person".to_owned(),
        short(all / load.connections()),
    ]);
    let _ = writeln!(text, "{}\n", table.trim_fmt());
    let _ = write!(text, "{}", basis(costs, prices, headroom));
    text
}

fn servers(plan: &Plan) -> String {
    let mut text = String::new();
    if let Some(redis) = &plan.redis {
        let _ = writeln!(
            text,
            "Redis: {} shard(s) of {} because of {}, {} cores{}; {} GB a month over the bus",
            short(redis.count),
            redis.machine.name,
            redis.because,
            short(redis.cores),
            if redis.count > MOST_SHARDS {
                ", more than one cluster takes"
            } else {
                ""
            },
            short(plan.bus_gb)
        );
    }
    if let Some(postgres) = &plan.postgres {
        let _ = writeln!(
            text,
            "Postgres: {}, {} cores; {} commits a second at most, {} GiB when the oldest messages go",
            several(postgres),
            short(postgres.cores),
            short(plan.commits),
            short(plan.stored_gib)
        );
    }
    let _ = writeln!(
        text,
        "Load balancer: {} capacity units in the busiest hour; {} GB a month to clients",
        short(plan.capacity_units),
        short(plan.out_gb)
    );
    text
}

fn several(postgres: &Machines) -> String {
    if postgres.count <= 1.0 {
        return format!("{} because of {}", postgres.machine.name, postgres.because);
    }
    format!(
        "more than one holds: {} of {} because of {}, with rooms spread over them, which Hubbub does not do",
        short(postgres.count),
        postgres.machine.name,
        postgres.because
    )
}

fn basis(costs: &Calibration, prices: &Prices, headroom: &Headroom) -> String {
    let unseen = match &costs.unseen {
        Some(unseen) => off(unseen),
        None => "it was held against no others (`--check` does)".to_owned(),
    };
    format!(
        "Based on costs measured on {} on {} ({} runs); the model was off by {:.0} % in the middle, {:.0} % at most, on the \
         phases that it was made from; {unseen}. So processors are planned for {} times what the model says. A virtual processor \
         counts as {} of its cores. Processors are busy to {:.0} % at most, to {:.0} % without one of {} zones; memory of nodes is \
         full to {:.0} % and {:.0} %.\nPrices: {}, {}, {}. Not in them: tax, AWS WAF, interface endpoints, copies of backups in \
         another region, flow logs of more than a little traffic.\n",
        costs.date,
        costs.machine,
        costs.runs.len(),
        100.0 * costs.middle_error,
        100.0 * costs.largest_error,
        short(headroom.reserve),
        short(headroom.vcpu),
        100.0 * headroom.busy,
        100.0 * headroom.busy_without_zone,
        headroom.zones,
        100.0 * headroom.full,
        100.0 * headroom.full_without_zone,
        prices.region,
        prices.date,
        prices.source
    )
}

fn off(unseen: &Unseen) -> String {
    format!(
        "on runs that it had not seen ({}) by {:+.0} % over all, {:+.0} to {:+.0} % phase by phase (below zero: it said too little)",
        unseen.runs.join(", "),
        100.0 * unseen.together,
        100.0 * unseen.lowest,
        100.0 * unseen.highest
    )
}

/// What runs should have taken, and what they took.
pub(super) fn checked(costs: &Calibration, reports: &[Report]) -> String {
    let mut table = table::numbers(&["CPU seconds", "predicted", "measured", "off by"]);
    let mut row = |name: String, predicted: f64, measured: f64| {
        let off = 100.0 * error(predicted, measured);
        table.add_row(vec![
            name,
            short(predicted),
            short(measured),
            format!("{off:+.0} %"),
        ]);
    };
    let (mut all, mut took) = (0.0, 0.0);
    for phase in reports.iter().flat_map(observed) {
        let nodes = predicted(&costs.node_cpu, &phase.work);
        all += nodes;
        took += phase.node_cpu;
        row(format!("{}: nodes", phase.name), nodes, phase.node_cpu);
        for (name, costs, took) in [
            ("Postgres", &costs.postgres_cpu, phase.postgres_cpu),
            ("Redis", &costs.redis_cpu, phase.redis_cpu),
        ] {
            if let Some(took) = took {
                row(
                    format!("{}: {name}", phase.name),
                    predicted(costs, &phase.work),
                    took,
                );
            }
        }
    }
    row("all phases: nodes".to_owned(), all, took);
    let nodes = Unseen::of(costs, reports).map_or("no phase took the nodes a second".to_owned(), |of| {
        format!(
            "off by {:+.0} % over all; phase by phase, of those that took a second and more, by {:+.0} to {:+.0} %",
            100.0 * of.together,
            100.0 * of.lowest,
            100.0 * of.highest
        )
    });
    format!("{}\n\nNodes: {nodes}.", table.trim_fmt())
}

/// What the simulation has shown.
pub(super) fn simulated(seen: &Simulated) -> String {
    let busiest = |of: Option<f64>| {
        of.map_or("more than so few rooms can tell".to_owned(), |of| {
            format!("{} times", short(of))
        })
    };
    format!(
        "\nSimulated: {} rooms of 1 to {} connected people, {} for a message in the mean.\n\
         A message reaches {} nodes; the model, which gives all rooms the same size, says {}.\n\
         {:.0} % of what nodes take from the bus is for a single client.\n\
         In means, the busiest node delivers {}, the busiest shard of Redis carries {}.",
        number::count(seen.rooms as u64),
        number::count(seen.largest as u64),
        short(seen.audience),
        short(seen.nodes_of_a_message),
        short(seen.nodes_by_model),
        100.0 * seen.for_one_client,
        busiest(seen.busiest_node),
        busiest(seen.busiest_shard)
    )
}

/// A count of machines.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small count"
)]
pub(super) fn whole(count: f64) -> usize {
    count.round() as usize
}
