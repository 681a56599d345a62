//! Two reports held against each other.

use std::{path::Path, process::Command};

use load_tests::{
    measure::{Counts, Latencies},
    report::{self, Check, Held, Report},
};

use super::fixture;

/// The program's exit code and what it says.
fn compare(before: &Report, after: &Report, more: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, report| report::write(report, &folder.path().join(name)).unwrap().json;
    ran(&write("a", before), &write("b", after), more)
}

fn ran(before: &Path, after: &Path, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-tests"));
    let output = command
        .arg("compare")
        .arg(before)
        .arg(after)
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn row<'a>(text: &'a str, name: &str) -> &'a str {
    let row = text
        .lines()
        .find(|line| line.trim_start_matches(['|', ' ']).starts_with(name));
    row.unwrap_or_else(|| panic!("`{name}` is missing in {text}"))
}

#[test]
fn a_run_is_as_good_as_itself() {
    let report = fixture::report(1.0);
    let (code, text) = compare(&report, &report, &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("Nothing is worse by more than 10 %"), "{text}");
    assert!(row(&text, "ack p99").contains("1.000"), "{text}");
    assert!(!text.contains("WORSE"), "{text}");
}

#[test]
fn what_is_slower_by_more_than_the_threshold_fails() {
    let (before, after) = (fixture::report(1.0), fixture::report(1.2));
    let (code, text) = compare(&before, &after, &[]);
    assert_eq!(code, 1, "{text}");
    for name in ["ack p99", "delivery p99", "server processor a delivery"] {
        assert!(row(&text, name).contains("WORSE"), "{name}: {text}");
    }
    assert!(!row(&text, "clients' processor").contains("WORSE"), "{text}");
    assert!(!row(&text, "committed").contains("WORSE"), "{text}");
    // Half a millisecond more is nothing, unless somebody says so.
    assert!(!row(&text, "ack p50").contains("WORSE"), "{text}");
    let (code, text) = compare(&before, &after, &["--only", "ack p50", "--floor-ms", "0"]);
    assert!(code == 1 && row(&text, "ack p50").contains("WORSE"), "{text}");
    assert_eq!(compare(&before, &after, &["--threshold", "1.3"]).0, 0);
    assert_eq!(compare(&before, &after, &["--only", "committed"]).0, 0);
    assert_eq!(compare(&before, &after, &["--only", "ack p99"]).0, 1);
    // Faster is no failure.
    let (code, text) = compare(&after, &before, &[]);
    assert!(code == 0 && row(&text, "ack p99").contains("better"), "{text}");
}

#[test]
fn less_throughput_and_failed_checks_are_worse() {
    let before = fixture::report(1.0);
    let mut after = before.clone();
    after.counts = Counts {
        committed: before.counts.committed / 2,
        ..before.counts
    };
    after.checks[0].passed = false;
    let (code, text) = compare(&before, &after, &["--markdown"]);
    assert_eq!(code, 1, "{text}");
    for name in ["committed", "committed of offered", "checks that held"] {
        assert!(row(&text, name).contains("WORSE"), "{name}: {text}");
    }
    assert!(row(&text, "committed").starts_with('|'), "{text}");
}

#[test]
fn one_check_that_breaks_among_many_is_worse_whatever_the_threshold() {
    let mut before = fixture::report(1.0);
    before.checks = (1..=14)
        .map(|number| Check::new(&format!("promise {number:02}"), true, ""))
        .collect();
    let mut after = before.clone();
    after.checks[4].passed = false;
    let (code, text) = compare(&before, &after, &["--threshold", "5"]);
    assert_eq!(code, 1, "{text}");
    let broke = row(&text, "promise 05");
    assert!(
        broke.contains("held") && broke.contains("failed") && broke.contains("WORSE"),
        "{text}"
    );
    assert!(!text.contains("promise 06"), "{text}");
    // Nor may a check go away; one that comes to hold is better, and one that is new is not judged.
    after.checks.remove(4);
    let (code, text) = compare(&before, &after, &[]);
    assert!(code == 1 && row(&text, "promise 05").contains("WORSE"), "{text}");
    let (code, text) = compare(&after, &before, &[]);
    assert!(
        code == 0 && row(&text, "promise 05").contains("not judged"),
        "{text}"
    );
    // Who asks for other figures is not told of it.
    assert_eq!(compare(&before, &after, &["--only", "ack"]).0, 0);
    assert_eq!(compare(&before, &after, &["--only", "checks"]).0, 1);
}

#[test]
fn what_falls_to_nothing_is_worse() {
    let before = fixture::report(1.0);
    let mut after = before.clone();
    after.counts = Counts {
        committed: 0,
        delivered: 0,
        ..before.counts
    };
    after.latencies = Latencies::default();
    let (code, text) = compare(&before, &after, &[]);
    assert_eq!(code, 1, "{text}");
    for name in [
        "committed ",
        "committed of offered",
        "delivered",
        "delivery p99",
        "ack p50",
        "server processor a delivery",
    ] {
        assert!(row(&text, name).contains("WORSE"), "{name}: {text}");
    }
    assert!(!row(&text, "clients' processor").contains("WORSE"), "{text}");
    let (code, text) = compare(&after, &before, &[]);
    assert!(code == 0 && row(&text, "delivered").contains("better"), "{text}");
}

#[test]
fn nobody_to_come_back_is_no_loss() {
    let mut before = fixture::report(1.0);
    before
        .latencies
        .record_many(load_tests::measure::Timing::Reconnect, 50_000, 10);
    let mut after = fixture::report(1.0);
    assert!(row(&compare(&before, &after, &[]).1, "reconnect p99").contains("WORSE"));
    after.counts.lost = 0;
    let (code, text) = compare(&before, &after, &[]);
    assert!(
        code == 0 && row(&text, "reconnect p99").contains("not judged"),
        "{text}"
    );
}

/// A ramp of three steps, or of two: one step earlier a goal broke.
fn ramp(steps: usize) -> Report {
    let mut report = fixture::report(1.0);
    let scenario = serde_json::json!({"phase": [
        {"name": "rest", "repeat": null},
        {"name": "step", "repeat": {"at_most": 9}},
        {"name": "ramp down"},
    ]});
    report.run.settings.insert("scenario".into(), scenario);
    for (step, phase) in report.phases[1..4].iter_mut().enumerate() {
        phase.name = format!("step {}", step + 1);
    }
    report.phases.drain(1 + steps..4);
    let (mut counts, mut latencies) = (Counts::default(), Latencies::default());
    for phase in &report.phases {
        counts += phase.counts;
        latencies.add(&phase.latencies);
    }
    (report.counts, report.latencies) = (counts, latencies);
    report.run.seconds = report.phases.iter().map(|phase| phase.to_s - phase.from_s).sum();
    report.held = vec![Held {
        phase: "step".into(),
        messages_per_second: if steps == 3 { 150.0 } else { 100.0 },
        connections: 1000,
    }];
    report
}

#[test]
fn ramps_are_compared_by_what_was_held_wherever_their_knees_are() {
    let (before, after) = (ramp(3), ramp(2));
    let (code, text) = compare(&before, &after, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "held, messages/s (step)").contains("WORSE"), "{text}");
    assert!(row(&text, "held, connections (step)").contains("1.000"), "{text}");
    // What only one of them came to is left out.
    for name in ["committed ", "delivery p99", "ack p99"] {
        assert!(row(&text, name).contains("1.000"), "{name}: {text}");
    }
    let (code, text) = compare(&after, &before, &[]);
    assert!(
        code == 0 && row(&text, "held, messages/s").contains("better"),
        "{text}"
    );
    // Other phases have to be the same.
    let mut other = ramp(3);
    other.phases[0].name = "unrest".into();
    assert_eq!(compare(&before, &other, &[]).0, 2);
}

#[test]
fn runs_that_were_made_otherwise_are_not_compared() {
    let before = fixture::report(1.0);
    let mut after = before.clone();
    after.run.machine.cores = 64;
    after.run.settings.insert("rate".into(), serde_json::json!(900));
    after.run.settings.insert("seed".into(), serde_json::json!(4));
    let (code, text) = compare(&before, &after, &[]);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("cores: 2, then 64") && text.contains("setting rate: 200, then 900"),
        "{text}"
    );
    assert!(!text.contains("seed") && !text.contains("ack p99"), "{text}");
    assert_eq!(compare(&before, &after, &["--anyway"]).0, 0);
}

#[test]
fn what_is_wrong_with_the_files_or_the_names_is_told() {
    let report = fixture::report(1.0);
    let (code, text) = compare(&report, &report, &["--only", "akc"]);
    assert!(
        code == 2 && text.contains("There are: checks that held, offered"),
        "{text}"
    );
    let (code, text) = ran(Path::new("/nowhere/a.json"), Path::new("/nowhere/b.json"), &[]);
    assert!(
        code == 2 && text.contains("/nowhere/a.json cannot be read"),
        "{text}"
    );
    let (code, text) = compare(&report, &report, &["--threshold", "0.9"]);
    assert!(code == 2 && text.contains("a ratio of 1 or more"), "{text}");
}
