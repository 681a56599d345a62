//! A run as it could have been: two nodes, a third one that comes, one that is lost.

use std::collections::BTreeMap;

use load_tests::{
    measure::{Counts, Latencies, Timing},
    report::{Check, Cost, FORMAT, Machine, Mark, PhaseReport, Point, Report, Run, Series},
};

const SECONDS: u32 = 300;
const PHASES: [(&str, u32, u32); 5] = [
    ("rest", 0, 40),
    ("ramp up", 40, 130),
    ("steady", 130, 200),
    ("loss of a node", 200, 240),
    ("ramp down", 240, SECONDS),
];

/// The report; `slower` times as slow as the plain one.
pub(crate) fn report(slower: f64) -> Report {
    let mut chance = fastrand::Rng::with_seed(7);
    let mut series: BTreeMap<(&str, String), Series> = BTreeMap::new();
    let mut put = |name: &'static str, label: &str, unit: &str, at: f64, value: f64| {
        let known = series.entry((name, label.to_owned())).or_insert_with(|| Series {
            name: name.to_owned(),
            label: label.to_owned(),
            unit: unit.to_owned(),
            points: Vec::new(),
        });
        known.points.push(Point(at, value));
    };
    let mut phases = Vec::new();
    for (name, from, to) in PHASES {
        let mut counts = Counts::default();
        let mut latencies = Latencies::default();
        for second in from..to {
            let at = f64::from(second) + 1.0;
            let load = load(second);
            let connections = 4000.0 * load;
            for (node, part) in nodes(second) {
                put("connections", node, "", at, (connections * part).round());
                put(
                    "processor",
                    &format!("node {node}"),
                    "%",
                    at,
                    90.0 * load * part + chance.f64() * 6.0,
                );
                put(
                    "memory",
                    &format!("node {node}"),
                    "MiB",
                    at,
                    40.0 + 0.012 * connections * part,
                );
            }
            put(
                "processor",
                "clients 1",
                "%",
                at,
                45.0 * load + chance.f64() * 4.0,
            );
            let offered = (200.0 * load).round();
            let pushed_back = if (200..206).contains(&second) { 0.6 } else { 1.0 };
            for (label, value) in [
                ("offered", offered),
                ("accepted", offered),
                ("committed", offered * pushed_back),
            ] {
                put("messages", label, "1/s", at, value);
            }
            let delivered = offered * pushed_back * 50.0;
            put("deliveries", "", "1/s", at, delivered);
            let bad = if (200..206).contains(&second) { 40.0 } else { 1.0 } * slower;
            for (timing, base) in [(Timing::Ack, 2.4), (Timing::Delivery, 4.1)] {
                let mut most = 0.0_f64;
                for _ in 0..40 {
                    let ms = base * bad * (1.0 + load) * (-chance.f64().ln()).max(0.1);
                    most = most.max(ms);
                    latencies.record_many(timing, micros(ms), 25);
                }
                put(timing.name(), "p50", "ms", at, base * bad * (1.0 + load));
                put(timing.name(), "p99", "ms", at, most * 0.9);
                put(timing.name(), "max", "ms", at, most);
            }
            latencies.record_many(Timing::Connect, micros(8.0 * slower + chance.f64() * 30.0), 20);
            counts += Counts {
                offered: whole(offered),
                accepted: whole(offered),
                committed: whole(offered * pushed_back),
                delivered: whole(delivered),
                connected: 20,
                lost: if second == 200 { 1400 } else { 0 },
                resumed: if second == 201 { 1400 } else { 0 },
                ..Counts::default()
            };
        }
        phases.push(PhaseReport {
            name: name.into(),
            from_s: f64::from(from),
            to_s: f64::from(to),
            counts,
            latencies,
        });
    }
    let mut counts = Counts::default();
    let mut latencies = Latencies::default();
    for phase in &phases {
        counts += phase.counts;
        latencies.add(&phase.latencies);
    }
    Report {
        format: FORMAT,
        run: run(),
        checks: vec![
            Check::new(
                "nothing lost",
                true,
                "39,810 messages, each acknowledged one is in the store",
            ),
            Check::new(
                "scaled out in time",
                true,
                "third node in service 31 s after the alarm, 60 s allowed",
            ),
            Check::new(
                "p99 while scaling",
                slower < 2.0,
                format!("ack p99 {:.0} ms, 500 ms allowed", 180.0 * slower),
            ),
        ],
        phases,
        counts,
        latencies,
        series: series.into_values().collect(),
        marks: marks(),
        costs: costs(slower),
        held: Vec::new(),
        checker: Some(serde_json::json!({"violations": 0, "events": 39_810})),
    }
}

fn load(second: u32) -> f64 {
    let at = f64::from(second);
    match second {
        0..40 => 0.25,
        40..130 => 0.25 + 0.75 * (at - 40.0) / 90.0,
        130..240 => 1.0,
        _ => 1.0 - 0.75 * (at - 240.0) / 60.0,
    }
}

/// Who serves which part.
fn nodes(second: u32) -> Vec<(&'static str, f64)> {
    match second {
        0..110 => vec![("i-0a1", 0.52), ("i-0b2", 0.48)],
        110..150 => {
            let third = f64::from(second - 110) / 40.0 * 0.33;
            vec![
                ("i-0a1", (1.0 - third) / 2.0),
                ("i-0b2", (1.0 - third) / 2.0),
                ("i-0c3", third),
            ]
        }
        150..200 => vec![("i-0a1", 0.34), ("i-0b2", 0.33), ("i-0c3", 0.33)],
        200..226 => vec![("i-0a1", 0.5), ("i-0b2", 0.0), ("i-0c3", 0.5)],
        _ => vec![("i-0a1", 0.34), ("i-0c3", 0.34), ("i-0d4", 0.32)],
    }
}

fn run() -> Run {
    let settings = [
        ("connections", serde_json::json!(4000)),
        ("rate", serde_json::json!(200)),
        ("codec", serde_json::json!("msgpack")),
        (
            "<script>",
            serde_json::json!("</script><img src=x onerror=alert(1)>"),
        ),
    ];
    Run {
        name: "rehearse".into(),
        description: "A day in five minutes: scale out, lose a node, scale in & <b>nothing lost</b>.".into(),
        began_ms: 1_790_000_000_000,
        seconds: f64::from(SECONDS),
        version: "0.1.0".into(),
        commit: Some("0123456789abcdef0123456789abcdef01234567".into()),
        machine: Machine {
            processor: "Made-up CPU @ 2.50GHz".into(),
            cores: 2,
            memory_bytes: 24 << 30,
            system: "Linux 6.1.0 x86_64".into(),
        },
        targets: vec!["ws://127.0.0.1:8080/ws?a=1&b=\"2\"".into()],
        settings: settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

fn marks() -> Vec<Mark> {
    [
        (92.0, "alarm", "CPU above 70 %: 2 → 3 instances"),
        (108.0, "launch", "i-0c3 is in service"),
        (200.0, "fault", "i-0b2 was killed"),
        (226.0, "launch", "i-0d4 <replaces> i-0b2"),
        (285.0, "terminate", "i-0d4 drains"),
    ]
    .into_iter()
    .map(|(at_s, kind, text)| Mark {
        at_s,
        kind: kind.into(),
        text: text.into(),
    })
    .collect()
}

fn costs(slower: f64) -> Vec<Cost> {
    let cost = |process: &str, server, cpu_seconds: f64, mebibytes: u64| Cost {
        process: process.to_owned(),
        server,
        cpu_seconds: cpu_seconds * slower,
        cpu_before: 0.2,
        resident_bytes: mebibytes << 20,
    };
    vec![
        cost("clients 1", false, 88.1, 96),
        cost("node i-0a1", true, 71.3, 64),
        cost("node i-0b2", true, 52.9, 61),
        cost("node i-0c3", true, 48.0, 58),
        cost("postgres", true, 31.0, 210),
    ]
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and small"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn micros(ms: f64) -> u64 {
    whole(ms * 1000.0)
}
