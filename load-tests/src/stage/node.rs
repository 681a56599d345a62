//! A node's process, which keeps its addresses however often it is started.

use std::{
    fs::OpenOptions,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{Instant, timeout},
};

use super::http;

/// Below what systems hand out for outgoing connections: nobody takes a node's port while it is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A node's process.
#[derive(Debug)]
pub struct Node {
    program: PathBuf,
    log: PathBuf,
    settings: Vec<(String, String)>,
    public: SocketAddr,
    private: SocketAddr,
    child: Option<Child>,
    state: NodeState,
}

/// What we did to it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// It should run.
    Running,
    /// It was stopped where it stood.
    Frozen,
    /// It was told to end, or killed.
    Ended,
}

impl Node {
    /// One that is not started yet, on two free ports of 127.0.0.1.
    pub(crate) fn new(program: &Path, log: &Path, settings: Vec<(String, String)>) -> anyhow::Result<Self> {
        Ok(Self {
            program: program.to_owned(),
            log: log.to_owned(),
            settings,
            public: free_address()?,
            private: free_address()?,
            child: None,
            state: NodeState::Ended,
        })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.public)
    }

    /// Where clients come in.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where its metrics are.
    pub fn private(&self) -> SocketAddr {
        self.private
    }

    /// Its process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// What we did to it last.
    pub fn state(&self) -> NodeState {
        self.state
    }

    /// Starts it; returns at once.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = Command::new(&self.program);
        command.arg("--listen").arg(self.public.to_string());
        command.arg("--private-listen").arg(self.private.to_string());
        // Beside its log, where no configuration of somebody else's is found.
        command.current_dir(self.log.parent().unwrap_or(Path::new(".")));
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        // A Ctrl-C in a terminal is for us; the nodes end with us.
        command.stderr(log).kill_on_drop(true).process_group(0);
        let child = command.spawn();
        self.child = Some(child.with_context(|| format!("cannot run {}", self.program.display()))?);
        self.state = NodeState::Running;
        Ok(())
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// When it does not in time, or ends; with where its log is.
    pub async fn ready(&mut self, within: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while !http::is_ok(self.private, "/readyz").await {
            if let Some(how) = self.fallen() {
                bail!("a node ended ({how}); its log is {}", self.log.display());
            }
            ensure!(
                started.elapsed() < within,
                "a node does not serve after {within:?}; its log is {}",
                self.log.display()
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.state = NodeState::Ended;
        if let Some(mut child) = self.child.take() {
            child.kill().await.context("cannot kill a node")?;
        }
        Ok(())
    }

    /// Stops it where it stands, connections and all; or lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&mut self, on: bool) -> anyhow::Result<()> {
        self.signal(if on { Signal::STOP } else { Signal::CONT })?;
        self.state = if on { NodeState::Frozen } else { NodeState::Running };
        Ok(())
    }

    /// Asks it to leave, as whoever takes an instance away does.
    ///
    /// # Errors
    /// When it does not run.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        self.state = NodeState::Ended;
        Ok(())
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it does not in time; it is killed then.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let child = self.child.as_mut().context("this node does not run")?;
        match timeout(within, child.wait()).await {
            Ok(status) => {
                self.child = None;
                Ok(status?)
            }
            Err(_) => {
                self.kill().await?;
                bail!("a node that was told to leave did not within {within:?}")
            }
        }
    }

    /// How it ended, if it did and nobody wanted it to.
    pub fn fallen(&mut self) -> Option<String> {
        if self.state == NodeState::Ended {
            return None;
        }
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status.to_string())
    }

    /// The sum of a metric over its labels.
    ///
    /// # Errors
    /// When the node does not answer, or has no such metric.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let page = http::get(self.private, "/metrics").await?;
        metric(&page, name).with_context(|| format!("a node has no metric {name}"))
    }

    /// Its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// Memory that it holds, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let pid = self
            .child
            .as_ref()
            .and_then(Child::id)
            .context("this node does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.context("no VmRSS in /proc")? * 1024)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self
            .child
            .as_ref()
            .and_then(Child::id)
            .context("this node does not run")?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a pid")?;
        Ok(kill_process(pid, signal)?)
    }
}

/// The sum of a metric over its labels, on a page of metrics; `None` if it is not there.
pub(crate) fn metric(page: &str, name: &str) -> Option<f64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let labelled = rest.starts_with('{') || rest.starts_with(' ');
        labelled
            .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .flatten()
    });
    values.reduce(|sum, value| sum + value)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    for _ in 0..1000 {
        let address = SocketAddr::from(([127, 0, 0, 1], fastrand::u16(PORTS)));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port of 127.0.0.1 in {PORTS:?}")
}
