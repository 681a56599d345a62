//! Scenarios, played against real nodes by real processes.

use std::path::PathBuf;

use clap::Parser;
use load_tests::{
    play::{PlayArgs, play},
    report::{Check, Report},
    scenario::{BUILT_IN, Fit, Scenario},
};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    play: PlayArgs,
}

fn args(more: &[&str]) -> PlayArgs {
    let line = ["load-tests", "--plain", "--seed", "1"];
    Line::parse_from(line.iter().chain(more)).play
}

/// The checks that failed, but for those that are about how fast this machine is.
fn failed(report: &Report) -> Vec<&Check> {
    let about_time =
        |check: &&Check| check.name.contains("in time") || check.name.starts_with("what is offered");
    let failed = report.checks.iter().filter(|check| !check.passed);
    failed.filter(|check| !about_time(check)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_built_in_scenario_can_be_played() {
    for (name, _) in BUILT_IN {
        let scenario = Scenario::find(name).unwrap().fitted(Fit {
            connections: Some(24),
            messages_per_second: Some(60.0),
            seconds: Some(1.5),
        });
        let args = args(&["--check", "yes"]);
        let report = Box::pin(play(scenario, &args, CancellationToken::new()))
            .await
            .unwrap();
        assert!(failed(&report).is_empty(), "{name}: {:#?}", report.checks);
        assert!(report.counts.connected >= 24, "{name}: {:?}", report.counts);
        assert!(report.checker.is_some(), "{name}");
        let node = report.costs.iter().find(|cost| cost.process == "node-1");
        assert!(
            node.is_some_and(|node| node.server && node.cpu_seconds > 0.0),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_can_come_from_several_processes_over_several_nodes() {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_load-tests"));
    let scenario = Scenario::find("rooms").unwrap().fitted(Fit {
        connections: Some(60),
        messages_per_second: Some(60.0),
        seconds: Some(3.0),
    });
    let mut args = args(&["--check", "yes", "--nodes", "2", "--processes", "3"]);
    args.program = Some(program);
    let report = Box::pin(play(scenario, &args, CancellationToken::new()))
        .await
        .unwrap();
    assert!(failed(&report).is_empty(), "{:#?}", report.checks);
    assert_eq!(report.counts.connected, 60);
    let clients = report
        .costs
        .iter()
        .filter(|cost| cost.process.starts_with("clients "));
    assert_eq!(clients.count(), 3, "{:?}", report.costs);
    let nodes = report
        .series
        .iter()
        .filter(|series| series.name == "connections" && !series.label.is_empty());
    assert_eq!(nodes.count(), 2);
}
