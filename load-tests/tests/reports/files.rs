//! JSON, JUnit and the table.

use std::fs;

use load_tests::{
    measure::Timing,
    report::{self, plain},
};
use quick_junit::TestCaseStatus;

use super::fixture;

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let report = fixture::report(1.0);
    let written = report::write(&report, &folder.path().join("made/for it")).unwrap();
    let back = report::read(&written.json).unwrap();
    assert_eq!(back.run, report.run);
    assert_eq!(back.counts, report.counts);
    assert_eq!(
        (back.checks, back.marks, back.costs),
        (report.checks, report.marks, report.costs)
    );
    assert_eq!(back.series.len(), report.series.len());
    for (back, series) in back.series.iter().zip(&report.series) {
        assert_eq!(
            (&back.name, &back.label, &back.unit),
            (&series.name, &series.label, &series.unit)
        );
        assert_eq!(back.points.len(), series.points.len());
        for (back, point) in back.points.iter().zip(&series.points) {
            // The last of seventeen digits may be another one.
            assert!(
                (back.0 - point.0).abs() + (back.1 - point.1).abs() < 1e-9,
                "{back:?} {point:?}"
            );
        }
    }
    for timing in Timing::ALL {
        assert_eq!(back.latencies.get(timing), report.latencies.get(timing));
    }
}

#[test]
fn other_files_are_no_reports() {
    let folder = tempfile::tempdir().unwrap();
    for (text, why) in [
        ("{}", "is no report"),
        ("not even JSON", "is no report"),
        (
            r#"{"format":99}"#,
            "of format 99, and this program reads format 1",
        ),
        (r#"{"format":1}"#, "is no whole report"),
    ] {
        let file = folder.path().join("some.json");
        fs::write(&file, text).unwrap();
        let told = format!("{:#}", report::read(&file).unwrap_err());
        assert!(told.contains("some.json") && told.contains(why), "{told}");
    }
    let told = format!("{:#}", report::read(&folder.path().join("none")).unwrap_err());
    assert!(told.contains("cannot be read"), "{told}");
}

#[test]
fn every_check_is_a_test_case() {
    let folder = tempfile::tempdir().unwrap();
    let report = fixture::report(3.0);
    let written = report::write(&report, folder.path()).unwrap();
    let xml = fs::read_to_string(written.junit).unwrap();
    let all = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let [suite] = all.test_suites.as_slice() else {
        panic!("one suite: {xml}");
    };
    assert_eq!(
        (suite.name.as_str(), suite.tests, suite.failures),
        ("rehearse", 3, 1)
    );
    for (case, check) in suite.test_cases.iter().zip(&report.checks) {
        assert_eq!(case.name.as_str(), check.name);
        assert_eq!(
            matches!(case.status, TestCaseStatus::Success { .. }),
            check.passed
        );
    }
    assert!(
        suite
            .properties
            .iter()
            .any(|property| property.name.as_str() == "commit")
    );
}

#[test]
fn the_table_keeps_apart_what_was_offered_committed_and_delivered() {
    let report = fixture::report(3.0);
    let text = plain(&report);
    assert!(text.starts_with("rehearse: FAILED, after 5 min 0 s"), "{text}");
    assert!(
        text.contains("FAILED p99 while scaling: ack p99 540 ms, 500 ms allowed"),
        "{text}"
    );
    let row = text
        .lines()
        .find(|line| line.trim_start().starts_with("loss of a node") && line.contains("40.0"))
        .unwrap();
    let cells: Vec<&str> = row.split_whitespace().skip(4).collect();
    // Six seconds with 120 of 200 committed, each shown to 50.
    assert_eq!(
        cells,
        ["40.0", "8,000", "8,000", "7,520", "376,000", "9,400"],
        "{text}"
    );
    assert!(text.contains("1,400 connections lost"), "{text}");
    assert!(text.contains("Processor time a delivery: server"), "{text}");
}
