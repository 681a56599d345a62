//! A deterministic simulation: a cluster of real nodes, clients, a store and a bus, in one thread and in virtual time,
//! with all that goes wrong made from a seed. See `docs/testing.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail, and says what it did"
)]

mod answers;
mod bus;
mod client;
mod faults;
mod fleet;
mod monitor;
mod node;
mod panics;
mod plan;
mod run;
mod shrink;
mod store;
mod trace;
mod truth;
mod view;
mod world;

use std::{process::Command, time::Duration};

use actors::planted::Bug;

use crate::{fleet::run_seeds, plan::Plan, run::run, shrink::shrink};

/// Seeds that are run where nothing else is asked for, and how long that may take.
const SEEDS: u64 = 3_000;
const LIMIT: Duration = Duration::from_secs(60);
/// Every planted bug must be found by one of so many seeds.
const SEEDS_A_BUG: u64 = 400;

/// One seed, as asked for by `HUBBUB_SIM_SEED`; otherwise many, `HUBBUB_SIM_SEEDS` of them.
#[test]
fn the_promises_hold_whatever_goes_wrong() {
    if let Some(seed) = number("HUBBUB_SIM_SEED") {
        return replay(seed, None);
    }
    let (count, limit) = match number("HUBBUB_SIM_SEEDS") {
        Some(count) => (count, Duration::MAX),
        None => (SEEDS, LIMIT),
    };
    let first = number("HUBBUB_SIM_FIRST").unwrap_or(0);
    let fleet = run_seeds(first, count, None, limit);
    println!(
        "{} seeds, {:.0} per minute; {:#?}",
        fleet.seeds,
        fleet.per_minute(),
        fleet.counts
    );
    if let Some((seed, violation)) = fleet.failed {
        println!("seed {seed}: {violation}");
        replay(seed, None);
        panic!("seed {seed} failed once, and not when it was run again: {violation}");
    }
    fleet.counts.check_that_all_happened();
}

/// What is planted is found, each bug by itself.
#[test]
fn planted_bugs_are_found() {
    let bugs = match std::env::var("HUBBUB_SIM_BUG") {
        Ok(name) => Bug::ALL
            .into_iter()
            .filter(|bug| format!("{bug:?}") == name)
            .collect(),
        Err(_) => Bug::ALL.to_vec(),
    };
    assert!(
        !bugs.is_empty(),
        "no bug has the name in HUBBUB_SIM_BUG; known are {:?}",
        Bug::ALL
    );
    let mut unseen = Vec::new();
    for bug in bugs {
        if let Some(seed) = number("HUBBUB_SIM_SEED") {
            replay(seed, Some(bug));
        }
        let fleet = run_seeds(0, SEEDS_A_BUG, Some(bug), LIMIT);
        match fleet.failed {
            Some((seed, violation)) => println!(
                "{bug:?}: found by seed {seed}, the {}. run: {violation}",
                fleet.seeds
            ),
            None => unseen.push(bug),
        }
    }
    assert!(unseen.is_empty(), "not found by {SEEDS_A_BUG} seeds: {unseen:?}");
}

/// The same seed gives the same trace, in this process and in another one.
#[test]
fn a_seed_is_the_same_run_everywhere() {
    const VARIABLE: &str = "HUBBUB_SIM_PRINT_HASHES";
    let seeds = 0..25;
    panics::catch();
    let hashes = |_| -> Vec<u64> {
        seeds
            .clone()
            .map(|seed| run(&Plan::new(seed), None, false).hash)
            .collect()
    };
    let first = hashes(());
    if std::env::var_os(VARIABLE).is_some() {
        println!("hashes {first:?}");
        return;
    }
    let second = hashes(());
    panics::release();
    assert_eq!(first, second, "in one process");
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_seed_is_the_same_run_everywhere", "--nocapture"])
        .env(VARIABLE, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&other.stdout);
    assert!(
        printed.contains(&format!("hashes {first:?}")),
        "in another process: {printed}"
    );
}

/// Runs one seed and, if it fails, tells how: what is left when all is left out that need not be, and its last events.
fn replay(seed: u64, bug: Option<Bug>) {
    panics::catch();
    let plan = Plan::new(seed);
    let report = run(&plan, bug, true);
    let Some(violation) = report.violation else {
        panics::release();
        println!("seed {seed} is well; {:#?}", report.counts);
        return;
    };
    let plan = shrink(plan, bug, &violation);
    let shrunk = run(&plan, bug, true);
    panics::release();
    println!("seed {seed}: {violation}\n\nThe last events of it:");
    report.lines.iter().for_each(|line| println!("{line}"));
    println!("\nLeft of it when all is left out that need not be:\n{plan}\nThe last events of that:");
    shrunk.lines.iter().for_each(|line| println!("{line}"));
    println!(
        "\nTo run it again:\n  HUBBUB_SIM_SEED={seed} cargo test -p actors --test simulation the_promises -- --nocapture\n"
    );
    panic!("seed {seed}: {}", shrunk.violation.unwrap_or(violation));
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}
