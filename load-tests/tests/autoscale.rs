//! `autoscale` against a deployment of which it knows no more than its address and an administrator's token.
#![allow(clippy::expect_used, reason = "a test: what is missing fails it")]

use clap::Parser;
use load_tests::{
    autoscale::{AutoscaleArgs, autoscale},
    rehearse::{Deployment, DeploymentOptions},
};

#[derive(Parser)]
struct Lab {
    #[command(flatten)]
    options: DeploymentOptions,
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    autoscale: AutoscaleArgs,
}

#[tokio::test]
async fn a_deployment_grows_under_load_and_shrinks_behind_it() {
    // As with Postgres by default, guests are not let in: all clients have the one credential that there is.
    let lab = "lab --time-scale 60 --connections-per-instance 50 --cores-per-instance 8 --set cluster.lease_seconds=2 \
               --set auth.guests=false --set limits.connections_per_user=0 --set limits.sends_per_second_per_user=0";
    let lab = Lab::parse_from(lab.split_whitespace()).options;
    let deployment = Deployment::start(&lab, None).await.expect("a deployment");
    let token = deployment.administrator().await.expect("an administrator");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, format!("{token}\n")).expect("a file of credentials");
    let line = format!(
        "autoscale --target {} --token {token} --tokens {} --connections 140 --rest-connections 40 --rate 60 --rooms 6 \
         --ramp-seconds 10 --scale-out-within-seconds 30 --share-within-seconds 40 --scale-in-within-seconds 60 \
         --p99-ms 3000 --seed 7 --out {}",
        deployment.url(),
        tokens.display(),
        folder.path().display()
    );
    let mut args = Line::parse_from(line.split_whitespace()).autoscale;
    args.rest_connections = Some(30);
    let refused = autoscale(&args).await.expect_err("fewer than 20 for each node");
    assert!(
        refused.to_string().contains("30 connections at rest"),
        "{refused:#}"
    );
    args.rest_connections = Some(40);
    let report = autoscale(&args).await.expect("it is played");
    let failed: Vec<_> = report.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for name in [
        "nothing lost",
        "scaled out in time",
        "new instances took their share",
        "scaled in in time",
        "scale-in lost nobody",
        "newcomers were always served",
    ] {
        assert!(
            report.checks.iter().any(|check| check.name == name),
            "{name} is checked"
        );
    }
    let of_nodes = report
        .series
        .iter()
        .filter(|series| series.name == "connections, by the nodes");
    assert!(of_nodes.count() >= 3, "the nodes' own word is kept");
}

/// Nodes that nobody reached are seen by the deployment's word alone.
#[test]
fn without_an_administrator_s_token_nothing_is_begun() {
    if std::env::var_os("HUBBUB_TOKEN").is_none() {
        let line = Line::try_parse_from(["autoscale", "--target", "ws://127.0.0.1:1/ws"]);
        let refused = line.err().expect("a token is missing").to_string();
        assert!(refused.contains("--token"), "{refused}");
    }
}
