//! A private load balancer: haproxy in the place of an application load balancer of AWS.
//!
//! Where it differs: when no target is healthy it answers 503 by itself, where the other one tries all of them and answers
//! 502; it takes a target out at once, where the other one needs some seconds for all its nodes to know: see
//! [`crate::group`].

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::ports::{Overtaken, free_port};

/// How long it may take to start, or to let go of a target.
const PATIENCE: Duration = Duration::from_secs(10);

/// How it checks and forwards.
#[derive(Debug, Clone)]
pub struct HaProxyOptions {
    /// What is asked for to see whether a target is healthy; 200 is.
    pub health_path: String,
    /// From one check to the next.
    pub check_interval: Duration,
    /// Checks in a row that make a target healthy.
    pub healthy_threshold: u32,
    /// Checks in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
    /// A connection on which nothing is said for so long is cut.
    pub idle_timeout: Duration,
    /// Most connections of clients. Each takes two file descriptors.
    pub max_connections: u32,
}

/// A load balancer on a free port of 127.0.0.1, with no target yet. New connections go to the healthy target with the fewest.
/// Dropping it ends the process and removes the folder.
#[derive(Debug)]
pub struct HaProxy {
    options: HaProxyOptions,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

/// A target, as the load balancer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Connections to it that are open.
    pub connections: u64,
}

/// How a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Gets new connections.
    Healthy,
    /// Gets none until its checks pass.
    Unhealthy,
    /// Was taken out: gets none any more, and keeps those that it has.
    Draining,
}

impl HaProxy {
    /// Starts one; it accepts connections when this returns.
    ///
    /// # Errors
    /// When `haproxy` is not installed (the error names the package), or does not start; with its own words.
    pub async fn start(options: HaProxyOptions) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hubbub-haproxy-").tempdir()?;
        let mut haproxy = Self {
            options,
            folder,
            port: 0,
            child: None,
        };
        let mut overtaken = Overtaken::default();
        loop {
            haproxy.port = free_port()?;
            match haproxy.spawn().await {
                Ok(()) => return Ok(haproxy),
                Err(error) => overtaken.again(error)?,
            }
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Puts a target in. It gets connections when so many checks as it takes have passed.
    ///
    /// # Errors
    /// When there is one of that name, or the load balancer does not answer.
    pub async fn register(&self, name: &str, address: SocketAddr) -> anyhow::Result<()> {
        let HaProxyOptions {
            check_interval,
            healthy_threshold,
            unhealthy_threshold,
            ..
        } = &self.options;
        let interval = check_interval.as_millis();
        let added = self
            .command(&format!(
                "add server nodes/{name} {address} check inter {interval} rise {healthy_threshold} fall {unhealthy_threshold}; \
                 enable health nodes/{name}; enable server nodes/{name}; set server nodes/{name} health down"
            ))
            .await?;
        ensure!(
            added.contains("New server registered"),
            "haproxy does not take the target {name}: {added}"
        );
        Ok(())
    }

    /// Takes a target out for new connections; those that are open stay.
    ///
    /// # Errors
    /// When there is no such target, or the load balancer does not answer.
    pub async fn deregister(&self, name: &str) -> anyhow::Result<()> {
        self.quiet(&format!("set server nodes/{name} state drain")).await
    }

    /// Cuts what is left of a target's connections and forgets it.
    ///
    /// # Errors
    /// When there is no such target, or the load balancer does not let go of it.
    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.quiet(&format!("set server nodes/{name} state maint"))
            .await?;
        let begun = Instant::now();
        loop {
            self.quiet(&format!("shutdown sessions server nodes/{name}"))
                .await?;
            let said = self.command(&format!("del server nodes/{name}")).await?;
            if said.contains("Server deleted") {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "haproxy does not let go of the target {name}: {said}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All targets.
    ///
    /// # Errors
    /// When the load balancer does not answer, or not in its usual form.
    pub async fn targets(&self) -> anyhow::Result<Vec<Target>> {
        let table = self.command("show stat").await?;
        let mut lines = table.lines();
        let names: Vec<&str> = lines
            .next()
            .unwrap_or_default()
            .trim_start_matches("# ")
            .split(',')
            .collect();
        let column = |wanted: &str| {
            let found = names.iter().position(|name| *name == wanted);
            found.with_context(|| format!("haproxy's statistics have no column {wanted}"))
        };
        let (backend, name, status, current) = (
            column("pxname")?,
            column("svname")?,
            column("status")?,
            column("scur")?,
        );
        let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
        rows.filter(|row| row.get(backend) == Some(&"nodes") && row.get(name) != Some(&"BACKEND"))
            .map(|row| {
                Ok(Target {
                    name: row[name].to_owned(),
                    health: Health::of(row[status]),
                    connections: row[current]
                        .parse()
                        .context("haproxy's statistics are not as usual")?,
                })
            })
            .collect()
    }

    /// How one target is; `None` if there is no such target.
    ///
    /// # Errors
    /// As [`HaProxy::targets`].
    pub async fn health(&self, name: &str) -> anyhow::Result<Option<Health>> {
        let targets = self.targets().await?;
        Ok(targets
            .iter()
            .find(|target| target.name == name)
            .map(|target| target.health))
    }

    async fn quiet(&self, command: &str) -> anyhow::Result<()> {
        let said = self.command(command).await?;
        ensure!(said.trim().is_empty(), "haproxy, told to `{command}`: {said}");
        Ok(())
    }

    async fn command(&self, command: &str) -> anyhow::Result<String> {
        let mut stream = UnixStream::connect(self.socket())
            .await
            .context("haproxy does not take commands")?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        Ok(said)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("commands")
    }

    async fn spawn(&mut self) -> anyhow::Result<()> {
        let config = self.folder.path().join("haproxy.cfg");
        let log = self.folder.path().join("log");
        fs::write(&config, self.config())?;
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&config)
            // Debian keeps it where only administrators look.
            .env("PATH", path_with_sbin())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            // Ctrl-C in a terminal goes to the whole group: it must outlive those who use it.
            .process_group(0)
            .spawn()
            .context("cannot run haproxy: install it (Debian and Ubuntu: apt install haproxy)")?;
        let child = self.child.insert(child);
        let begun = Instant::now();
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .is_err()
        {
            if child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("haproxy did not start on port {}; it said:\n{said}", self.port);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn config(&self) -> String {
        let socket = self.socket();
        let HaProxyOptions {
            health_path,
            idle_timeout,
            max_connections,
            ..
        } = &self.options;
        let idle = idle_timeout.as_millis();
        format!(
            "global
    stats socket {} mode 600 level admin
    maxconn {max_connections}
    noreuseport
defaults
    mode http
    # A request is tried once, at one target.
    retries 0
    option forwardfor
    timeout connect 5s
    timeout client {idle}ms
    timeout server {idle}ms
    timeout tunnel {idle}ms
frontend clients
    bind 127.0.0.1:{}
    default_backend nodes
backend nodes
    balance leastconn
    option httpchk
    http-check send meth GET uri {health_path} ver HTTP/1.1 hdr Host load-balancer
    http-check expect status 200
",
            socket.display(),
            self.port,
        )
    }
}

impl Health {
    fn of(status: &str) -> Self {
        if status.starts_with("UP") {
            Self::Healthy
        } else if status.starts_with("DRAIN") {
            Self::Draining
        } else {
            Self::Unhealthy
        }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nothing more can be done about a process that cannot be ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn path_with_sbin() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}
