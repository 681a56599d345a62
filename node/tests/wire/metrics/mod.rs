//! `/metrics` on the private port.

mod moving;

use std::{collections::BTreeMap, path::Path};

use protocol::{ErrorCode, client::CLIENT_OPS};

use crate::support::{Node, http, node::sample};

/// Those that dashboards and alarms are built on, and their types.
const PROMISED: [(&str, &str); 21] = [
    ("hubbub_connections", "gauge"),
    ("hubbub_rooms", "gauge"),
    ("hubbub_events_committed_total", "counter"),
    ("hubbub_deliveries_total", "counter"),
    ("hubbub_commit_seconds", "histogram"),
    ("hubbub_commit_batch_events", "histogram"),
    ("hubbub_bus_up", "gauge"),
    ("hubbub_store_up", "gauge"),
    ("hubbub_bus_frames_total", "counter"),
    ("hubbub_gap_fills_total", "counter"),
    ("hubbub_outbox_overflows_total", "counter"),
    ("hubbub_frames_total", "counter"),
    ("hubbub_errors_total", "counter"),
    ("hubbub_draining", "gauge"),
    ("hubbub_cluster_nodes", "gauge"),
    ("hubbub_cluster_mean_connections", "gauge"),
    ("hubbub_node_load", "gauge"),
    ("hubbub_connections_shed_total", "counter"),
    ("hubbub_connections_shed_closed_total", "counter"),
    ("hubbub_connections_drained_total", "counter"),
    ("hubbub_lease_renewals_failed_total", "counter"),
];

/// The node has no store yet: nothing can have been counted.
#[tokio::test]
async fn every_metric_is_there_and_described_from_the_start() {
    let node = Node::bound(Path::new("/nonexistent"), &[]);
    let answer = http::get(node.private(), "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4"),
        "{answer:?}"
    );
    let text = answer.body;
    let mut help = BTreeMap::new();
    let mut types = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(help.insert(name, words).is_none(), "{name} is described twice");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            assert!(types.insert(name, kind).is_none(), "{name} has two types");
        }
    }
    for (name, kind) in PROMISED {
        assert_eq!(types.get(name), Some(&kind), "{name} in\n{text}");
    }
    for (name, kind) in &types {
        assert!(
            help.get(name).is_some_and(|words| words.len() > 10),
            "{name} is not described"
        );
        let all: Vec<_> = if *kind == "histogram" {
            ["_sum", "_count", "_bucket{le=\"+Inf\"}"]
                .map(|part| format!("{name}{part}"))
                .into()
        } else {
            let series = text.lines().filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with([' ', '{']))
            });
            series
                .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
                .collect()
        };
        assert!(!all.is_empty(), "{name} has no value in\n{text}");
        for series in all {
            assert_eq!(sample(&text, &series), Some(0.0), "{series}");
        }
    }
    let labelled = [
        ("hubbub_bus_frames_total", "direction", vec!["in", "out"]),
        (
            "hubbub_frames_total",
            "op",
            [&CLIENT_OPS[..], &["invalid"]].concat(),
        ),
        (
            "hubbub_errors_total",
            "code",
            ErrorCode::ALL.iter().map(|code| code.as_str()).collect(),
        ),
    ];
    for (name, label, values) in labelled {
        for value in values {
            let series = format!("{name}{{{label}=\"{value}\"}}");
            assert_eq!(sample(&text, &series), Some(0.0), "{series} in\n{text}");
        }
    }
}

#[tokio::test]
async fn they_are_private() {
    let node = Node::start().await;
    http::get(node.public(), "/metrics")
        .await
        .assert_problem(404, "not_found");
    for path in ["/livez", "/readyz"] {
        assert_eq!(http::get(node.private(), path).await.status, 200);
    }
    for path in ["/", "/ws", "/api/v1/rooms", "/nothing"] {
        http::get(node.private(), path)
            .await
            .assert_problem(404, "not_found");
    }
}
