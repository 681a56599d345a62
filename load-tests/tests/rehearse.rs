//! A cluster grows, loses a zone and shrinks while people talk: nobody may lose anything.
#![allow(clippy::expect_used, reason = "a test: what is missing fails it")]

use clap::Parser;
use load_tests::{
    measure::Timing,
    rehearse::{RehearseArgs, rehearse},
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    rehearse: RehearseArgs,
}

fn args(line: &str) -> RehearseArgs {
    Line::parse_from(["rehearse"].into_iter().chain(line.split_whitespace())).rehearse
}

/// As short as it can be: the update is played by `rolling`, and processors are not to be judged on a machine that runs
/// other tests beside.
#[tokio::test]
async fn a_short_rehearsal() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let line = format!(
        "--time-scale 60 --skip busy,update,instance --connections-per-instance 60 --cores-per-instance 8 --rooms 8 \
         --rate 40 --set cluster.lease_seconds=2 --p99-ms 3000 --out {}",
        folder.path().display()
    );
    let report = rehearse(&args(&line)).await.expect("the rehearsal is played");
    let failed: Vec<_> = report.checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for name in [
        "nothing lost",
        "everybody converged",
        "scaled out on connections in time",
        "new instances took their share",
        "lost zone replaced in time",
        "scale-in lost nobody",
        "newcomers were always served",
        "the bus lost messages",
    ] {
        assert!(
            report.checks.iter().any(|check| check.name == name),
            "{name} is checked"
        );
    }
    let counts = report.counts;
    assert!(
        counts.committed > 500 && counts.delivered > counts.committed,
        "{counts:?}"
    );
    assert!(counts.lost > 0 && counts.goaways > 0, "{counts:?}");
    assert!(report.latencies.get(Timing::Reconnect).is_some());
    for kind in ["launch", "terminate", "scale", "alarm", "fault"] {
        assert!(
            report.marks.iter().any(|mark| mark.kind == kind),
            "{kind} is marked"
        );
    }
    for file in ["report.html", "report.json", "junit.xml"] {
        assert!(folder.path().join(file).exists(), "{file} is written");
    }
}
