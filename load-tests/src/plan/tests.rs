use super::*;

fn load() -> Load {
    Load {
        people: 1_000_000.0,
        online: 0.3,
        rooms_per_person: 5.0,
        people_per_room: 50.0,
        messages_per_person_hour: 12.0,
        typing_per_message: 1.0,
        reads_per_message: 2.0,
        joins_per_connection: 0.0,
        pages_per_connection: 1.0,
        peak: 2.0,
        session_minutes: 20.0,
        keep_days: 365.0,
    }
}

fn headroom() -> Headroom {
    Headroom {
        zones: 2.0,
        busy: 0.5,
        busy_without_zone: 0.9,
        full: 0.7,
        full_without_zone: 0.85,
        vcpu: 1.0,
        reserve: 1.0,
    }
}

/// With costs of its own, so that the results can be reckoned by hand.
fn costs() -> Calibration {
    let mut costs = Calibration::shipped().unwrap();
    costs.node_cpu = Work::default();
    costs.postgres_cpu = Work::default();
    costs.redis_cpu = Work::default();
    costs.node_cpu[Kind::Delivery] = 4e-3;
    costs.postgres_cpu[Kind::Commit] = 1e-3;
    costs.redis_cpu[Kind::Copy] = 1e-4;
    costs.bytes = Bytes {
        node: 0.0,
        connection: 10_000.0,
        socket: 0.0,
        room: 0.0,
        event_kept: 0.0,
        head_kept: 0.0,
        event_stored: 1000.0,
        event_to_client: 500.0,
        event_on_bus: 200.0,
    };
    costs
}

fn prices() -> Prices {
    let mut prices = Prices::find(None).unwrap();
    prices.instance.retain(|machine| machine.name == "c7g.4xlarge");
    prices
}

#[test]
fn what_comes_with_the_program_is_whole() {
    let costs = Calibration::shipped().unwrap();
    for kind in [Kind::Connect, Kind::Commit, Kind::Delivery] {
        assert!(costs.node_cpu[kind] > 0.0, "{kind:?}");
    }
    assert!(costs.postgres_cpu[Kind::Commit] > 0.0 && costs.redis_cpu[Kind::Commit] > 0.0);
    assert!(costs.runs.len() > 3 && costs.largest_error > 0.0);
    let unseen = costs.unseen.as_ref().unwrap();
    assert!(unseen.lowest < unseen.together && unseen.together < unseen.highest);
    let prices = Prices::find(None).unwrap();
    assert!(plan(&load(), &costs, &prices, &headroom()).is_some());
}

#[test]
fn a_plan_is_what_it_takes() {
    // 300,000 connected write 1,000 messages a second, each shown to 15: 15,000 deliveries, 60 cores.
    let plan = plan(&load(), &costs(), &prices(), &headroom()).unwrap();
    assert!((plan.work[Kind::Commit] - 1000.0).abs() < 1e-6);
    assert!((plan.work[Kind::Delivery] - 15_000.0).abs() < 1e-6);
    let nodes = &plan.nodes[0];
    // 16 processors, half of them: 60 / 8. Nine tenths of 16 are too few on four nodes, and five are left of ten without a zone.
    assert!((nodes.cores - 60.0).abs() < 1e-6);
    assert_eq!((nodes.count, nodes.because), (10.0, "processor without a zone"));
    // One core of Postgres.
    assert_eq!(plan.postgres.as_ref().unwrap().machine.name, "db.m7g.large");
    // 500 messages a second over a year, of 1,000 bytes.
    assert!((plan.stored_gib - 500.0 * 365.0 * 86_400.0 * 1000.0 / 1_073_741_824.0).abs() < 1.0);
    // 500 × 730 h × 15 people × 500 bytes.
    assert!((plan.out_gb - 500.0 * 3600.0 * 730.0 * 15.0 * 500.0 / 1e9).abs() < 1.0);
    // 300,000 connections, 3,000 to a unit.
    assert!((plan.capacity_units - 100.0).abs() < 1e-6);
    let all: f64 = plan.month.iter().map(|(_, dollars)| dollars).sum();
    assert!(
        all > nodes.month && plan.month.iter().all(|(_, dollars)| *dollars >= 0.0),
        "{:?}",
        plan.month
    );
}

#[test]
fn memory_can_decide_as_well() {
    let mut costs = costs();
    costs.node_cpu[Kind::Delivery] = 1e-9;
    costs.bytes.connection = 1e6;
    let plan = plan(&load(), &costs, &prices(), &headroom()).unwrap();
    // 300 GB in 32 GiB each, filled to 0.7: 12.5. Filled to 0.85, ten hold them too little, and eleven are left of 22.
    let seen = |plan: &Plan| (plan.nodes[0].count, plan.nodes[0].because);
    assert_eq!(seen(&plan), (22.0, "memory without a zone"));
    let mut headroom = headroom();
    headroom.full = 0.1;
    // 87.3 in place of that.
    let plan = super::plan(&load(), &costs, &prices(), &headroom).unwrap();
    assert_eq!(seen(&plan), (88.0, "memory"));
}

#[test]
fn the_connections_of_a_zone_that_is_lost_fit_on_the_nodes_left() {
    let load = Load {
        people: 3_333_333.0,
        rooms_per_person: 1.0,
        people_per_room: 1000.0,
        messages_per_person_hour: 1.0,
        ..load()
    };
    let costs = Calibration::shipped().unwrap();
    let prices = Prices::find(None).unwrap();
    for zones in [2.0, 3.0] {
        let headroom = Headroom { zones, ..headroom() };
        let plan = plan(&load, &costs, &prices, &headroom).unwrap();
        for nodes in &plan.nodes {
            let left = nodes.count - (nodes.count / zones).ceil();
            let bytes = load.connections() * (costs.bytes.connection + costs.bytes.socket) / left;
            let memory = nodes.machine.memory_gib * 1_073_741_824.0;
            assert!(bytes < 0.85 * memory, "{zones} zones: {nodes:?}");
        }
    }
}

#[test]
fn more_nodes_are_more_work_for_each_other() {
    let load = load();
    assert!(load.work(1.0)[Kind::Copy].abs() < 1e-6);
    let few = load.work(4.0)[Kind::Copy];
    let many = load.work(400.0)[Kind::Copy];
    assert!(
        few > 2000.0 && many > 3.0 * few && many < 1000.0 * 14.0,
        "{few} {many}"
    );
    let mut costs = costs();
    // A node that costs more than it can do: no number of them is enough.
    costs.node_cpu[Kind::Node] = 20.0;
    assert!(plan(&load, &costs, &prices(), &headroom()).is_none());
}

#[test]
fn traffic_is_cheaper_by_the_heap() {
    let other = prices().other;
    assert!((other.out(100.0) - 9.0).abs() < 1e-9);
    let all = 10_240.0 * 0.09 + 40_960.0 * 0.085 + 1000.0 * 0.07;
    assert!((other.out(52_200.0) - all).abs() < 1e-6);
}

#[test]
fn rooms_of_all_sizes_reach_fewer_nodes_than_rooms_of_one_size() {
    let seen = simulate(&load(), 20, 4, 7);
    assert_eq!(seen, simulate(&load(), 20, 4, 7));
    assert!((seen.audience / load().audience() - 1.0).abs() < 0.1, "{seen:?}");
    assert!(seen.nodes_of_a_message < seen.nodes_by_model, "{seen:?}");
    assert!(
        seen.nodes_of_a_message > 1.0 && seen.for_one_client < 1.0,
        "{seen:?}"
    );
    assert!(
        seen.busiest_node.is_some_and(|of| (1.0..2.0).contains(&of)),
        "{seen:?}"
    );
    assert!(seen.busiest_shard.is_some_and(|of| of >= 1.0), "{seen:?}");
    assert!(simulate(&load(), 2000, 4, 7).busiest_node.is_none());
    let alone = simulate(&load(), 1, 1, 7);
    assert!((alone.nodes_of_a_message - 1.0).abs() < 1e-9, "{alone:?}");
}

#[test]
fn the_smallest_plan_costs_what_the_stack_is_said_to_cost() {
    let load = Load {
        people: 300.0,
        ..load()
    };
    let costs = Calibration::shipped().unwrap();
    let prices = Prices::find(None).unwrap();
    let plan = plan(&load, &costs, &prices, &headroom()).unwrap();
    assert_eq!(
        (plan.nodes[0].count, plan.nodes[0].machine.name.as_str()),
        (2.0, "t2.micro")
    );
    let redis = plan.redis.as_ref().unwrap();
    assert_eq!(
        (redis.count, redis.machine.name.as_str()),
        (3.0, "cache.t3.micro")
    );
    let all: f64 = plan
        .month
        .iter()
        .filter(|(what, _)| !what.starts_with("traffic"))
        .map(|(_, dollars)| dollars)
        .sum();
    let page = include_str!("../../../infra/README.md");
    let line = page
        .lines()
        .find(|line| line.starts_with("| with `HighAvailability=true`"))
        .unwrap();
    let said: f64 = line.split('|').nth(2).unwrap().trim().parse().unwrap();
    assert!(
        (all - said).abs() < 1.0,
        "{all} planned, {said} in infra/README.md"
    );
}

#[test]
fn burstable_machines_are_for_small_plans() {
    let mut costs = costs();
    costs.redis_cpu[Kind::Commit] = 2e-3;
    let prices = Prices::find(None).unwrap();
    // Two cores of Redis would be cheapest on 20 small machines.
    let plan = plan(&load(), &costs, &prices, &headroom()).unwrap();
    assert!(
        !plan.redis.as_ref().unwrap().machine.burstable,
        "{:?}",
        plan.redis
    );
    assert!(
        plan.nodes.iter().all(|of| !of.machine.burstable),
        "{:?}",
        plan.nodes
    );
}

#[test]
fn the_reserve_is_planned_for() {
    let planned = |reserve| {
        let headroom = Headroom {
            reserve,
            ..headroom()
        };
        plan(&load(), &costs(), &prices(), &headroom).unwrap()
    };
    let (bare, twice) = (planned(1.0), planned(2.0));
    assert!((twice.nodes[0].cores - 120.0).abs() < 1e-6);
    assert_eq!((bare.nodes[0].count, twice.nodes[0].count), (10.0, 18.0));
    let cores = |plan: &Plan| plan.postgres.as_ref().unwrap().cores;
    assert!((cores(&twice) - 2.0 * cores(&bare)).abs() < 1e-6);
}

#[test]
fn redis_and_postgres_may_be_short_of_memory() {
    let mut costs = costs();
    costs.bytes.head_kept = 1e6;
    let mut prices = prices();
    prices.redis.retain(|machine| machine.name == "cache.m7g.large");
    prices.postgres.retain(|machine| !machine.burstable);
    // 100,000 heads of a megabyte in 6.4 GiB, filled to 0.7.
    let redis = plan(&load(), &costs, &prices, &headroom())
        .unwrap()
        .redis
        .unwrap();
    assert_eq!((redis.count, redis.because), (21.0, "memory"));
    // 104 nodes and one with 12 connections each are more than 8 GiB take.
    costs.node_cpu[Kind::Delivery] *= 10.0;
    costs.postgres_cpu = Work::default();
    let postgres = plan(&load(), &costs, &prices, &headroom())
        .unwrap()
        .postgres
        .unwrap();
    assert_eq!(
        (postgres.machine.name.as_str(), postgres.because),
        ("db.m7g.2xlarge", "connections")
    );
}

#[test]
fn resumed_rooms_are_no_joins() {
    assert!(load().work(3.0)[Kind::Join].abs() < 1e-9);
    let load = Load {
        joins_per_connection: 2.0,
        ..load()
    };
    assert!((load.work(3.0)[Kind::Join] - 500.0).abs() < 1e-6);
}

#[test]
fn what_runs_were_off_by_is_said_beside_the_error_of_the_fit() {
    let (load, mut costs) = (load(), Calibration::shipped().unwrap());
    let (prices, headroom) = (Prices::find(None).unwrap(), headroom());
    let said = |costs: &Calibration| {
        let plan = plan(&load, costs, &prices, &headroom).unwrap();
        show::plan(&load, &plan, costs, &prices, &headroom)
    };
    costs.unseen = Some(Unseen {
        runs: vec!["mixed".to_owned()],
        together: -0.4,
        lowest: -0.5,
        highest: 0.2,
    });
    let text = said(&costs);
    assert!(
        text.contains("had not seen (mixed) by -40 % over all, -50 to +20 % phase by phase"),
        "{text}"
    );
    costs.unseen = None;
    assert!(said(&costs).contains("held against no others"));
}

/// What the page says a million connected people cost is what the program says.
#[test]
fn the_page_has_the_plan_as_it_is_printed() {
    let load = Load {
        people: 3_333_333.0,
        messages_per_person_hour: 10.0,
        peak: 2.5,
        ..load()
    };
    let headroom = Headroom {
        reserve: 2.0,
        ..headroom()
    };
    let costs = Calibration::shipped().unwrap();
    let plan = plan(&load, &costs, &Prices::find(None).unwrap(), &headroom).unwrap();
    let page = include_str!("../../../docs/capacity.md");
    for (what, dollars) in &plan.month {
        let row = format!("| {what} | {} |", crate::report::number::short(*dollars));
        assert!(page.contains(&row), "docs/capacity.md lacks: {row}");
    }
}
