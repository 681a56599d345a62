//! A node as a process of its own.

use std::{net::SocketAddr, process::Stdio, time::Duration};

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
        let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
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

    /// Ends it as a crash would.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().unwrap();
        timeout(Duration::from_secs(10), self.child.wait())
            .await
            .unwrap()
            .unwrap();
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
