//! The built binary.

use std::{net::SocketAddr, path::Path, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
};

use super::within;

/// A running `node`. Killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    log: JoinHandle<String>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// What was left on standard output.
    pub(crate) out: String,
    /// All of standard error.
    pub(crate) log: String,
}

/// Where a process listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) public: SocketAddr,
    pub(crate) private: SocketAddr,
}

impl Process {
    /// Starts it in `folder`, with nothing in its environment, on free ports unless `arguments` say otherwise.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_node"))
            .args(["--set", "http.listen=127.0.0.1:0"])
            .args(["--set", "http.private_listen=127.0.0.1:0"])
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await.unwrap();
            text
        });
        Self {
            out: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            log,
        }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn ready(folder: &Path, arguments: &[&str]) -> (Self, Addresses) {
        let mut process = Self::start(folder, arguments);
        let addresses = process.addresses().await;
        super::eventually("the node to be ready", || async {
            let answer = super::http::get(addresses.private, "/readyz").await;
            (answer.status == 200).then_some(())
        })
        .await;
        (process, addresses)
    }

    /// Reads the two lines that say what was bound.
    pub(crate) async fn addresses(&mut self) -> Addresses {
        let public = self.address("listening on http://").await;
        let private = self.address("private on http://").await;
        Addresses { public, private }
    }

    async fn address(&mut self, start: &str) -> SocketAddr {
        let line = within("a line on standard output", self.out.next_line())
            .await
            .unwrap();
        let line = line.expect("standard output has ended");
        line.strip_prefix(start)
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("`{start}ADDR` is due, and there was `{line}`"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it runs")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(mut self) -> Ended {
        let status = within("the process to end", self.child.wait()).await.unwrap();
        let mut out = String::new();
        while let Some(line) = within("the rest of standard output", self.out.next_line())
            .await
            .unwrap()
        {
            out += &line;
            out.push('\n');
        }
        Ended {
            code: status.code(),
            out,
            log: within("the rest of the log", self.log).await.unwrap(),
        }
    }
}
