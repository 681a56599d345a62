//! A node as a process of its own.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{
    PATIENCE, Settings,
    node::{COMMON, metric},
    until,
};

/// The built binary, running; killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    public: SocketAddr,
    private: SocketAddr,
    _output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it, and returns when its listeners are open.
    pub(crate) async fn start(settings: &Settings) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_node")), settings).await
    }

    /// As [`Self::start`], for [`Self::bound_files`]: what it writes beyond the bound fails, and does not end it.
    pub(crate) async fn start_on_a_bounded_disk(settings: &Settings) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args([
            "-c",
            r#"trap "" XFSZ; exec "$@""#,
            "sh",
            env!("CARGO_BIN_EXE_node"),
        ]);
        Self::start_by(shell, settings).await
    }

    async fn start_by(mut command: Command, settings: &Settings) -> Self {
        let common = COMMON.iter().map(|(key, value)| format!("{key}={value}"));
        let added = settings.iter().map(|(key, value)| format!("{key}={value}"));
        for setting in common.chain(added) {
            command.arg("--set").arg(setting);
        }
        command.args(["--log-level", "warn"]).env_clear();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let public = address(&mut output, "listening on http://").await;
        let private = address(&mut output, "private on http://").await;
        Self {
            child,
            public,
            private,
            _output: output,
        }
    }

    /// Waits until it serves.
    pub(crate) async fn ready(&self) {
        let url = format!("http://{}/readyz", self.private);
        until("the node is ready", async || {
            reqwest::get(&url)
                .await
                .is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    /// Lets no file that it writes grow beyond so many bytes.
    pub(crate) fn bound_files(&self, bytes: Option<u64>) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Pid::from_raw(pid), Resource::Fsize, limit).unwrap();
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().unwrap();
        timeout(Duration::from_secs(10), self.child.wait())
            .await
            .unwrap()
            .unwrap();
    }

    /// What it holds in memory (its resident set).
    pub(crate) fn memory_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/ws", self.public)
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric(self.private, name).await
    }
}

async fn address(output: &mut Lines<BufReader<ChildStdout>>, start: &str) -> SocketAddr {
    let line = timeout(PATIENCE, output.next_line())
        .await
        .expect("the node says where it listens");
    let line = line.unwrap().expect("the node runs");
    line.strip_prefix(start)
        .unwrap_or_else(|| panic!("`{line}` instead of `{start}`"))
        .parse()
        .unwrap()
}
