//! A node as a process of its own.

use std::{env, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

/// How long it may take to say where it listens, or to answer a question about its health.
const PATIENCE: Duration = Duration::from_secs(30);

/// The built program, running. Killed when this is dropped.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    public: SocketAddr,
    private: SocketAddr,
}

impl NodeProcess {
    /// Starts the node program with these keys of the configuration, on free ports of 127.0.0.1. Its listeners are open when
    /// this returns; whether it is ready is another question. Its log goes to standard error, warnings and worse.
    ///
    /// # Errors
    /// When there is no program, or it does not come so far; its own words are on standard error.
    pub async fn start(settings: &[(String, String)]) -> anyhow::Result<Self> {
        let program = program()?;
        let mut command = Command::new(&program);
        command
            .args([
                "--listen",
                "127.0.0.1:0",
                "--private-listen",
                "127.0.0.1:0",
                "--log-level",
                "error",
            ])
            .env_clear();
        for (key, value) in settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let output = child.stdout.take().context("the node has no standard output")?;
        let mut lines = BufReader::new(output).lines();
        let mut address = async |begins: &str| {
            let line = timeout(PATIENCE, lines.next_line())
                .await
                .context("the node does not say where it listens")??;
            let line = line.context("the node ended before it listened")?;
            let address = line
                .strip_prefix(begins)
                .with_context(|| format!("the node said {line:?}"))?;
            anyhow::Ok(address.parse::<SocketAddr>()?)
        };
        let public = address("listening on http://").await?;
        let private = address("private on http://").await?;
        Ok(Self {
            child,
            public,
            private,
        })
    }

    /// Where clients come in.
    pub fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where health and metrics are.
    pub fn private(&self) -> SocketAddr {
        self.private
    }

    /// Whether it says that it can serve.
    pub async fn is_ready(&self) -> bool {
        matches!(get(self.private, "/readyz").await, Ok((200, _)))
    }

    /// The value of a metric without labels.
    ///
    /// # Errors
    /// When the node does not answer, or has no such metric.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let (_, body) = get(self.private, "/metrics").await?;
        let line = body
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line
            .with_context(|| format!("the node has no metric {name}"))?
            .parse()?)
    }

    /// Tells it to leave.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Ok(kill_process(
            pid.context("the node has ended already")?,
            Signal::TERM,
        )?)
    }

    /// Waits until it has ended: whether with success.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.wait().await?.success())
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Asks for a page; its status and body.
///
/// # Errors
/// When the connection fails, the answer is none of HTTP, or does not come in time.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(PATIENCE, asked).await.context("no answer in time")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer of HTTP")?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .context("no answer of HTTP")?;
    Ok((status.parse()?, body.to_owned()))
}

/// The node's program: `HUBBUB_TEST_NODE`, else the one that was built beside this program.
fn program() -> anyhow::Result<PathBuf> {
    if let Some(program) = env::var_os("HUBBUB_TEST_NODE") {
        return Ok(program.into());
    }
    let this = env::current_exe().context("cannot find this program")?;
    let folders = this.ancestors().skip(1).take(2);
    let mut programs = folders.map(|folder| folder.join("node"));
    match programs.find(|program| program.is_file()) {
        Some(program) => Ok(program),
        None => bail!(
            "there is no node beside {}: build it (cargo build -p node), or name it in HUBBUB_TEST_NODE",
            this.display()
        ),
    }
}
