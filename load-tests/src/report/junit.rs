//! A report as JUnit, which CI systems show: every check is a test case.

use std::time::Duration;

use anyhow::Context;
use chrono::DateTime;
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::{Report, table};

/// The XML.
///
/// # Errors
/// When it cannot be written as UTF-8.
pub(super) fn xml(report: &Report) -> anyhow::Result<String> {
    let run = &report.run;
    let took = Duration::try_from_secs_f64(run.seconds).unwrap_or_default();
    let mut suite = TestSuite::new(run.name.as_str());
    suite.set_time(took);
    if let Some(began) = i64::try_from(run.began_ms)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
    {
        suite.set_timestamp(began);
    }
    for (name, value) in [
        ("version", run.version.as_str()),
        ("commit", run.commit.as_deref().unwrap_or("unknown")),
        ("processor", &run.machine.processor),
        ("system", &run.machine.system),
        ("targets", &run.targets.join(" ")),
    ] {
        suite.add_property(Property::new(name, value));
    }
    for (name, value) in &run.settings {
        suite.add_property(Property::new(format!("setting {name}"), value.to_string()));
    }
    for check in &report.checks {
        let mut case = TestCase::new(check.name.as_str(), TestCaseStatus::success());
        case.set_classname(format!("load-tests.{}", run.name));
        if check.passed {
            case.set_system_out(check.detail.as_str());
        } else {
            let mut failed = TestCaseStatus::non_success(NonSuccessKind::Failure);
            failed.set_message(check.detail.as_str());
            case.status = failed;
        }
        suite.add_test_case(case);
    }
    suite.set_system_out(table::plain(report));
    let mut all = quick_junit::Report::new("load-tests");
    all.set_time(took);
    all.add_test_suite(suite);
    all.to_string()
        .context("the report cannot be put into JUnit's XML")
}
