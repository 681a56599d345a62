//! `load-tests lab` as people run it.
#![allow(clippy::expect_used, reason = "a test: what is missing fails it")]

use std::{
    net::TcpStream,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

fn lab(script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load-tests"));
    command
        .args(["lab", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn server_is_gone(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let address = said
        .lines()
        .find_map(|line| line.strip_prefix("redis://"))
        .expect("a Redis address");
    assert!(TcpStream::connect(address).is_err(), "{address} still answers");
}

fn signalled(child: Child, signal: Signal) -> Output {
    kill_process(Pid::from_child(&child), signal).expect("the lab runs");
    child.wait_with_output().expect("the lab ends")
}

#[test]
fn the_command_finds_its_server_and_gives_the_exit_code() {
    let output = lab("echo $HUBBUB_TEST_REDIS_URL; redis-cli -u $HUBBUB_TEST_REDIS_URL PING; exit 7")
        .output()
        .expect("the lab runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("PONG"), "{output:?}");
    assert_eq!(output.status.code(), Some(7));
    server_is_gone(&output);
}

#[test]
fn signals_end_the_command_first_and_remove_everything() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().expect("a folder");
        let ready = folder.path().join("ready");
        let script = format!(
            "trap 'exit 9' TERM; echo $HUBBUB_TEST_REDIS_URL; touch {}; while :; do sleep 0.05; done",
            ready.display()
        );
        let child = lab(&script).spawn().expect("the lab runs");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !ready.exists() {
            assert!(Instant::now() < deadline, "the command did not start");
            thread::sleep(Duration::from_millis(10));
        }
        let output = signalled(child, signal);
        assert_eq!(output.status.code(), Some(9), "{output:?}");
        server_is_gone(&output);
    }
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_load-tests"))
        .args(["lab", "--", "no-such-command-here"])
        .output()
        .expect("the lab runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot run no-such-command-here"), "{said}");
}
