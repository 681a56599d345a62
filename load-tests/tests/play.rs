//! Scenarios, played against real nodes by real processes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod processes;

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use clap::Parser;
use load_tests::{
    measure::Timing,
    play::{PlayArgs, play},
    report::{self, Check, Report},
    scenario::{BUILT_IN, Fit, Scenario},
    stage::node_program,
};
use processes::{child_of, is_gone};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
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
    let about_time = |check: &&Check| {
        let name = check.name.as_str();
        name.contains("in time") || name.starts_with("what is offered") || name == "the first step holds"
    };
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
        assert_eq!(report.held.len(), usize::from(name == "ramp"), "{name}");
        let node = report.costs.iter().find(|cost| cost.process == "node-1");
        assert!(
            node.is_some_and(|node| node.server && node.cpu_seconds > 0.0),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_as_large_as_a_message_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Command::new(node_program().unwrap())
        .args(["--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("where it listens");
        if let Some(address) = line.strip_prefix("listening on http://") {
            break address.to_owned();
        }
    };
    let mut scenario = Scenario::find("rooms").unwrap().fitted(Fit {
        connections: Some(20),
        messages_per_second: Some(30.0),
        seconds: Some(2.0),
    });
    scenario.talk.uploads = 1.0;
    let args = args(&["--check", "yes", "--target", &format!("ws://{address}/ws")]);
    let report = Box::pin(play(scenario, &args, CancellationToken::new()))
        .await
        .unwrap();
    assert!(failed(&report).is_empty(), "{:#?}", report.checks);
    let counts = &report.counts;
    assert_eq!(counts.committed, counts.offered, "{counts:?}");
    assert!(counts.committed > 10, "{counts:?}");
    let files = std::fs::read_dir(folder.path().join("hubbub-data")).unwrap();
    let stored: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(stored > counts.committed * 15_000, "{stored} bytes of {counts:?}");
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

/// The command as a person runs it.
fn command(folder: &std::path::Path, line: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_load-tests"))
        .args(line)
        .args(["--plain", "--seed", "1", "--node"])
        .arg(node_program().unwrap())
        .arg("--out")
        .arg(folder)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0)
        .spawn()
        .unwrap()
}

async fn ended(child: Child) -> Output {
    timeout(Duration::from_secs(90), child.wait_with_output())
        .await
        .unwrap()
        .unwrap()
}

fn passed(report: &Report, name: &str) -> bool {
    let check = report.checks.iter().find(|check| check.name == name);
    check.unwrap_or_else(|| panic!("no check `{name}`")).passed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stalls_two_seconds_shows_in_what_people_waited() {
    let folder = tempfile::tempdir().unwrap();
    let line = [
        "run",
        "rooms",
        "--connections",
        "40",
        "--messages-per-second",
        "50",
        "--seconds",
        "12",
    ];
    let child = command(folder.path(), &line);
    let node = child_of(child.id().unwrap(), "--private-listen").await;
    // Everybody comes in the first quarter.
    sleep(Duration::from_secs(6)).await;
    kill_process(node, Signal::STOP).unwrap();
    let stopped = Instant::now();
    sleep(Duration::from_secs(2)).await;
    kill_process(node, Signal::CONT).unwrap();
    let stall = stopped.elapsed().as_secs_f64() * 1000.0;
    let output = ended(child).await;
    let said = String::from_utf8_lossy(&output.stdout);
    let report = report::read(&folder.path().join("report.json")).unwrap();
    for timing in [Timing::Ack, Timing::Delivery] {
        // Of 9 s of talk 2 are in the stall: whoever measures from when it was sent would see one late message a client.
        let p999 = report.latencies.quantile_ms(timing, 0.999).unwrap();
        let p90 = report.latencies.quantile_ms(timing, 0.9).unwrap();
        // Above it is what a busy machine takes to work off what waits.
        let near = stall - 150.0..stall + 1500.0;
        assert!(
            near.contains(&p999),
            "{timing:?} p99.9 {p999} ms, not {near:?}: {said}"
        );
        assert!(p90 > 600.0, "{timing:?} p90 {p90} ms: {said}");
    }
    let counts = report.counts;
    assert_eq!(counts.offered, counts.committed, "{said}");
    assert_eq!(counts.lost, 0, "{said}");
    assert!(!passed(&report, "messages are shown in time (talk)"), "{said}");
    assert_eq!(output.status.code(), Some(1), "a goal broke");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lets_nobody_in_is_told_at_once_and_why() {
    let said = async |line: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_load-tests"));
        let line: Vec<&str> = line.split(' ').collect();
        command.args(["run", "mixed", "--plain", "--out"]);
        let output = command.arg(folder.path()).args(line).output();
        let output = timeout(Duration::from_secs(30), output).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let own = format!("--node {}", node_program().unwrap().display());
    let text = said(&format!("{own} --set auth.guests=false")).await;
    assert!(text.contains("--tokens FILE"), "{text}");
    let text = said(&format!("{own} --set rooms.create_on_join=false")).await;
    assert!(
        text.contains("`not_found`") && text.contains("rooms.create_on_join"),
        "{text}"
    );
    let text = said("--target ws://127.0.0.1:1/ws").await;
    assert!(
        text.contains("ws://127.0.0.1:1/ws cannot be played against") && text.contains("refused"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_node_that_does_not_start_the_log_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("node");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *node-2*) echo 'no luck today' >&2; exit 3;; esac\nexec '{}' \"$@\"\n",
        node_program().unwrap().display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let args = args(&["--nodes", "2", "--node", program.to_str().unwrap()]);
    let scenario = Scenario::find("mixed").unwrap();
    let error = Box::pin(play(scenario, &args, CancellationToken::new())).await;
    let error = format!("{:#}", error.unwrap_err());
    assert!(error.contains("node-2 said:\nno luck today"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_back_only_behind_the_phase_counts_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.toml");
    let text = r#"
        name = "cut"
        description = "All are cut off, and are back when the phase is over."
        goals = { reconnect_p99_ms = 500 }
        phase = [
            { name = "arrive", seconds = 1, connections = 30 },
            { name = "rest", seconds = 5 },
            { name = "cut", seconds = 1, cut = 1.0, measured = true },
            { name = "after", seconds = 5 },
        ]
    "#;
    std::fs::write(&file, text).unwrap();
    let child = command(folder.path(), &["run", file.to_str().unwrap()]);
    let node = child_of(child.id().unwrap(), "--private-listen").await;
    // All are there, and nobody is cut off yet.
    sleep(Duration::from_secs(5)).await;
    kill_process(node, Signal::STOP).unwrap();
    sleep(Duration::from_secs(5)).await;
    kill_process(node, Signal::CONT).unwrap();
    let output = ended(child).await;
    let said = String::from_utf8_lossy(&output.stdout);
    let report = report::read(&folder.path().join("report.json")).unwrap();
    let back = |phase: &load_tests::report::PhaseReport| {
        let waits = phase.latencies.get(Timing::Reconnect);
        waits.map_or(0, |waits| waits.len())
    };
    let by_phase: Vec<u64> = report.phases.iter().map(back).collect();
    assert_eq!(by_phase, [0, 0, 30, 0, 0], "{said}");
    assert!(
        !passed(&report, "who was cut off is back in time (cut)"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_clients_that_dies_is_reported_and_the_others_play_on() {
    let folder = tempfile::tempdir().unwrap();
    let line = [
        "run",
        "rooms",
        "--connections",
        "30",
        "--messages-per-second",
        "30",
        "--seconds",
        "6",
        "--processes",
        "2",
    ];
    let child = command(folder.path(), &line);
    let worker = child_of(child.id().unwrap(), "worker").await;
    sleep(Duration::from_secs(3)).await;
    kill_process(worker, Signal::KILL).unwrap();
    let output = ended(child).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let report = report::read(&folder.path().join("report.json")).unwrap();
    let name = "nodes and clients ran to the end";
    assert!(!passed(&report, name), "{said}");
    let check = report.checks.iter().find(|check| check.name == name).unwrap();
    assert!(
        check.detail.contains("ended by itself: signal: 9"),
        "{}",
        check.detail
    );
    let last = report.phases.iter().find(|phase| phase.name == "talk").unwrap();
    assert!(last.to_s > 5.0 && last.counts.committed > 0, "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_it_early_has_a_report_and_nothing_is_left() {
    // Ctrl-C, and a terminal that is closed: both reach the whole group.
    for signal in [Signal::INT, Signal::HUP] {
        ended_early_by(signal).await;
    }
}

async fn ended_early_by(signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let line = "run mixed --postgres --connections 60 --processes 1 --check yes";
    let line: Vec<&str> = line.split(' ').collect();
    let child = command(folder.path(), &line);
    let id = child.id().unwrap();
    let node = child_of(id, "--private-listen").await;
    let worker = child_of(id, "worker").await;
    sleep(Duration::from_secs(2)).await;
    kill_process_group(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), signal).unwrap();
    let output = ended(child).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{signal:?}: {said}");
    let report = report::read(&folder.path().join("report.json")).unwrap();
    assert!(!passed(&report, "it was played to its end"), "{said}");
    for name in [
        "everybody has everything in the end",
        "everybody left in good order",
        "nodes and clients ran to the end",
        "the checker finds nothing in what clients wrote down",
    ] {
        assert!(passed(&report, name), "{signal:?}: {name}: {said}");
    }
    assert!(is_gone(node).await && is_gone(worker).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_wait_ends_it_at_once_and_nothing_is_left_either() {
    let folder = tempfile::tempdir().unwrap();
    let line = ["run", "soak", "--connections", "20", "--processes", "1"];
    let child = command(folder.path(), &line);
    let id = child.id().unwrap();
    let node = child_of(id, "--private-listen").await;
    let worker = child_of(id, "worker").await;
    let this = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    // Without the node it does not get to its end in good order.
    kill_process(node, Signal::STOP).unwrap();
    for _ in 0..2 {
        kill_process(this, Signal::INT).unwrap();
        sleep(Duration::from_millis(300)).await;
    }
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(130));
    assert!(is_gone(node).await && is_gone(worker).await);
}
