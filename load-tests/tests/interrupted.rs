//! Whoever ends a long run early finds nothing of it left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod processes;

use std::{fs::Permissions, os::unix::fs::PermissionsExt, process::Stdio, time::Duration};

use load_tests::stage::node_program;
use processes::{child_of, children, is_gone};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{process::Command, time::timeout};

/// Starts `load-tests` with these arguments, ends it by `signal` once a node runs, and looks for what is left.
async fn ended_by(signal: Signal, line: &str) {
    let temporary = tempfile::tempdir().unwrap();
    // Postgres may have an account of its own.
    std::fs::set_permissions(temporary.path(), Permissions::from_mode(0o755)).unwrap();
    let command = Command::new(env!("CARGO_BIN_EXE_load-tests"))
        .args(line.split(' '))
        .env("HUBBUB_TEST_NODE", node_program().unwrap())
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let id = command.id().unwrap();
    child_of(id, "redis-server").await;
    child_of(id, "--private-listen").await;
    let started = children(id);
    kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), signal).unwrap();
    let output = timeout(Duration::from_secs(30), command.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("`{line}` goes on"))
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("interrupted before its end: there is no report"),
        "{said}"
    );
    for (process, command) in started {
        assert!(is_gone(process).await, "`{line}` leaves {command}");
    }
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "`{line}` leaves {left:?}");
}

#[tokio::test]
async fn a_single_fault() {
    ended_by(Signal::TERM, "faults kill-node --nodes 2 --clients 20").await;
}

#[tokio::test]
async fn chaos() {
    ended_by(Signal::INT, "chaos --nodes 2 --clients 20 --minutes 5").await;
}

#[tokio::test]
async fn an_update() {
    ended_by(Signal::HUP, "rolling --time-scale 30").await;
}

#[tokio::test]
async fn a_rehearsal() {
    ended_by(Signal::TERM, "rehearse --time-scale 60").await;
}
