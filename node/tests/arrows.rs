//! The compile-time arrows between the crates, and what a crate never has, hold in the dependency graph that cargo
//! builds.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Which crates of the workspace each may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("actors", &["protocol"]),
    ("node", &["actors", "protocol"]),
    ("load-tests", &["protocol"]),
];

/// What a crate never has, directly or through others. A name that ends with `*` stands for all that begin so.
const NEVER: &[(&str, &[&str])] = &[
    (
        "protocol",
        &[
            "tokio*",
            "async*",
            "futures*",
            "mio",
            "socket2",
            "hyper*",
            "axum*",
            "reqwest",
            "tungstenite",
            "ractor*",
            "redis",
            "sqlx*",
            "rustls*",
            "smol*",
        ],
    ),
    (
        "actors",
        &[
            "sqlx*",
            "rusqlite",
            "libsqlite3*",
            "redis*",
            "hyper*",
            "axum*",
            "tungstenite",
            "tokio-tungstenite",
            "reqwest",
            "rustls*",
        ],
    ),
];

/// What every package is built with: its normal and build dependencies, by name.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// What is wrong with a graph, in words.
fn violations(graph: &Graph, members: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let known: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    if *members != known {
        wrong.push(format!(
            "the workspace has {members:?}, the arrows speak of {known:?}"
        ));
    }
    for (from, allowed) in ARROWS {
        let direct = graph.get(*from).into_iter().flatten();
        for to in direct.filter(|to| members.contains(*to) && !allowed.contains(&to.as_str())) {
            wrong.push(format!("{from} depends on {to}"));
        }
    }
    for (from, never) in NEVER {
        for to in reachable(graph, from) {
            if never.iter().any(|pattern| matches(pattern, &to)) {
                wrong.push(format!("{from} has {to} among what it is built with"));
            }
        }
    }
    wrong
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |start| name.starts_with(start))
}

fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from.to_owned()];
    while let Some(name) = next.pop() {
        for to in graph.get(&name).into_iter().flatten() {
            if seen.insert(to.clone()) {
                next.push(to.clone());
            }
        }
    }
    seen
}

/// The graph and the workspace's members, out of what `cargo metadata` prints.
fn parse(metadata: &Value) -> (Graph, BTreeSet<String>) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let mut graph = Graph::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let built_with = list(&node["deps"])
            .iter()
            .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev"))
            .map(|dep| names[&text(&dep["pkg"])].clone())
            .collect::<Vec<_>>();
        graph
            .entry(names[&text(&node["id"])].clone())
            .or_default()
            .extend(built_with);
    }
    let members = list(&metadata["workspace_members"])
        .iter()
        .map(|id| names[&text(id)].clone())
        .collect();
    (graph, members)
}

fn cargo_metadata() -> Value {
    let tool = |name: &str, variable: &str| Command::new(std::env::var_os(variable).unwrap_or(name.into()));
    let version = tool("rustc", "RUSTC").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = tool("cargo", "CARGO")
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_workspace_keeps_its_arrows() {
    let (graph, members) = parse(&cargo_metadata());
    // Arrows that are there for certain: an empty graph would keep every rule.
    for (from, to) in [
        ("actors", "protocol"),
        ("node", "actors"),
        ("node", "sqlx"),
        ("actors", "ractor"),
    ] {
        assert!(graph[from].contains(to), "{from} is not seen to depend on {to}");
    }
    assert!(
        reachable(&graph, "node").contains("mio"),
        "what is reached through others is not seen"
    );
    assert_eq!(violations(&graph, &members), Vec::<String>::new());
}

fn graph(arrows: &[(&str, &str)]) -> Graph {
    let mut graph = Graph::new();
    for (from, to) in arrows {
        graph
            .entry((*from).to_owned())
            .or_default()
            .insert((*to).to_owned());
    }
    graph
}

fn members() -> BTreeSet<String> {
    ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect()
}

#[test]
fn a_graph_as_drawn_is_right() {
    let drawn = [
        ("actors", "protocol"),
        ("node", "actors"),
        ("node", "protocol"),
        ("load-tests", "protocol"),
        ("protocol", "serde"),
        ("actors", "tokio"),
        ("node", "sqlx"),
        ("sqlx", "tokio"),
    ];
    assert_eq!(violations(&graph(&drawn), &members()), Vec::<String>::new());
}

#[test]
fn every_wrong_arrow_is_told() {
    for (wrong, told) in [
        (("protocol", "actors"), "protocol depends on actors"),
        (("actors", "node"), "actors depends on node"),
        (("load-tests", "actors"), "load-tests depends on actors"),
        (("load-tests", "node"), "load-tests depends on node"),
        (("node", "load-tests"), "node depends on load-tests"),
        (("protocol", "tokio-util"), "protocol has tokio-util among"),
        (("protocol", "futures-core"), "protocol has futures-core among"),
        (("actors", "redis"), "actors has redis among"),
        (("actors", "sqlx-core"), "actors has sqlx-core among"),
        (("actors", "tungstenite"), "actors has tungstenite among"),
    ] {
        let found = violations(&graph(&[wrong]), &members());
        assert!(
            found.iter().any(|text| text.contains(told)),
            "{wrong:?}: {found:?}"
        );
    }
}

#[test]
fn what_comes_through_others_counts() {
    let through = graph(&[("actors", "helper"), ("helper", "deeper"), ("deeper", "hyper")]);
    assert_eq!(
        violations(&through, &members()),
        ["actors has hyper among what it is built with"]
    );
}

#[test]
fn a_crate_that_nobody_has_drawn_is_told() {
    let mut more = members();
    more.insert("extras".to_owned());
    assert!(violations(&Graph::new(), &more)[0].contains("extras"));
}

#[test]
fn dependencies_of_tests_are_no_arrows() {
    let metadata = serde_json::json!({
        "packages": [{"id": "n 1", "name": "node"}, {"id": "l 1", "name": "load-tests"}, {"id": "s 1", "name": "serde"}],
        "workspace_members": ["n 1", "l 1"],
        "resolve": {"nodes": [
            {"id": "n 1", "deps": [
                {"pkg": "l 1", "dep_kinds": [{"kind": "dev"}]},
                {"pkg": "s 1", "dep_kinds": [{"kind": "dev"}, {"kind": null}]},
            ]},
            {"id": "l 1", "deps": []},
        ]},
    });
    let (found, members) = parse(&metadata);
    assert_eq!(found["node"], BTreeSet::from(["serde".to_owned()]));
    assert_eq!(
        members,
        BTreeSet::from(["node".to_owned(), "load-tests".to_owned()])
    );
}
