//! Every node of a cluster behind a load balancer is replaced while people talk.
#![allow(clippy::expect_used, reason = "a test: what is missing fails it")]

use std::{path::Path, time::Duration};

use clap::Parser;
use load_tests::{
    group::GroupSettings,
    rolling::{RollingArgs, rolling},
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    rolling: RollingArgs,
}

fn args(line: &str) -> RollingArgs {
    Line::parse_from(["rolling"].into_iter().chain(line.split_whitespace())).rolling
}

#[tokio::test]
async fn nobody_notices_a_rolling_update() {
    let report = rolling(&args("--time-scale 30")).await.expect("the update runs");
    println!("{report}");
    assert!(report.passed(), "{report}");
    assert_eq!(report.ended_in_order, 2);
    assert!(report.probed.all > 50 && report.messages > 200, "{report}");
    assert!(report.even_after_seconds.is_some(), "{report}");
    assert!(report.longest_reconnect() < Duration::from_secs(2), "{report}");
}

#[tokio::test]
async fn newcomers_are_turned_away_where_a_node_leaves_before_the_load_balancer_knows() {
    let report = rolling(&args(
        "--time-scale 30 --even-within-seconds 0 --pause-seconds 0 --lag-seconds 30",
    ))
    .await
    .expect("the update runs");
    println!("{report}");
    assert!(report.probed.failed > 0 && !report.passed(), "{report}");
    assert_eq!(report.lost(), 0, "{report}");
}

#[tokio::test]
async fn without_drain_and_signals_everybody_notices() {
    let report = rolling(&args("--time-scale 30 --careless --even-within-seconds 0"))
        .await
        .expect("the update runs");
    println!("{report}");
    assert!(!report.passed(), "{report}");
    assert!(report.probed.failed > 10, "{report}");
    assert!(report.probed.longest_outage_ms > 500, "{report}");
    // What was acked is kept all the same.
    assert!(report.checked.is_clean(), "{report}");
}

#[test]
fn the_numbers_are_those_of_the_stack() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/cloudformation/service.yaml");
    let settings = GroupSettings::read(Some(&template)).expect("the stack's template");
    let built_in = GroupSettings::of_stack().expect("the stack's template");
    assert_eq!(settings, built_in);
}
