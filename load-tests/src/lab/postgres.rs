//! A private Postgres in a temporary folder.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::{
    account::Account,
    ports::{Overtaken, free_port},
};
use crate::measure::Usage;

const USER: &str = "hubbub";
const PASSWORD: &str = "a-password-for-tests";
const START_DEADLINE: Duration = Duration::from_secs(30);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Runs the server, and ends it when told to, or when standard input is closed: so the server does not outlive the
/// process that started it, however that one ends. Its first line of output is the server's pid.
const WATCH: &str = r#"
exec 3<&0
trap : INT TERM
"$@" </dev/null >>"$FOLDER/log" 2>&1 &
pid=$!
echo $pid
read order <&3
kill -CONT $pid $(cat /proc/$pid/task/$pid/children 2>/dev/null) 2>/dev/null
kill -QUIT $pid 2>/dev/null
wait $pid
[ "$order" = stop ] || rm -rf "$FOLDER"
"#;

/// How a private server runs.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Whether commits wait for the disk. Off is faster, and enough where no test cuts the power.
    pub fsync: bool,
    /// Largest number of connections.
    pub max_connections: u32,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            fsync: true,
            max_connections: 200,
        }
    }
}

/// A Postgres server of one's own on a free port of 127.0.0.1. It ends, and its folder goes, when this is dropped or
/// the process ends.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    account: Option<Account>,
    options: PostgresOptions,
    port: u16,
    databases: AtomicU32,
    running: Option<Running>,
    folder: TempDir,
}

#[derive(Debug)]
struct Running {
    pid: u32,
    watch: Child,
    orders: ChildStdin,
}

impl Postgres {
    /// Makes a new cluster and starts a server on it with [`PostgresOptions::default`]. Takes a second or two.
    ///
    /// # Errors
    /// When Postgres is not installed (the error names the package), or does not start; with the end of its log.
    pub async fn start() -> Result<Self> {
        Self::start_with(PostgresOptions::default()).await
    }

    /// Like [`Postgres::start`], with other options.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_with(options: PostgresOptions) -> Result<Self> {
        let account = Account::needed("postgres")?;
        let folder = new_folder(account.as_ref())?;
        let mut postgres = Self {
            bin: find_bin()?,
            account,
            options,
            port: 0,
            databases: AtomicU32::new(0),
            running: None,
            folder,
        };
        postgres.make_cluster().await?;
        postgres.start_on_a_free_port().await?;
        Ok(postgres)
    }

    async fn start_on_a_free_port(&mut self) -> Result<()> {
        let mut overtaken = Overtaken::default();
        loop {
            self.port = free_port()?;
            match self.restart().await {
                Ok(()) => return Ok(()),
                Err(error) => overtaken.again(error)?,
            }
        }
    }

    /// The URL of the database `postgres`, as superuser, with password, over TCP.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// What all its processes have cost since the last start; `None` while it does not run.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of_family(self.running.as_ref()?.pid).ok()
    }

    /// The port on 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// When the server does not do it.
    pub async fn create_database(&self) -> Result<String> {
        let name = format!("db{}", self.databases.fetch_add(1, Ordering::Relaxed));
        create_database(&self.url(), &name).await?;
        Ok(self.url_of(&name))
    }

    /// Stops the server at once, as a crash would: connections break, what was committed is kept.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        // Closed before the order is read, this would count as our end.
        let mut orders = &running.orders;
        orders.write_all(b"stop\n")?;
        let started = Instant::now();
        while running.watch.try_wait()?.is_none() {
            ensure!(
                started.elapsed() < STOP_DEADLINE,
                "Postgres (pid {}) does not end",
                running.pid
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Starts the server, on the same port and data; one that runs is stopped before. Returns when it takes connections.
    ///
    /// # Errors
    /// When it does not take connections in time; with the end of its log.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        let mut watch = self.command("sh");
        watch.args(["-c", WATCH, "watch"]).arg(self.bin.join("postgres"));
        watch.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        let port = self.port.to_string();
        let max_connections = self.options.max_connections.to_string();
        let fsync = if self.options.fsync { "on" } else { "off" };
        for (name, value) in [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            ("max_connections", &max_connections),
            ("fsync", fsync),
        ] {
            watch.arg("-c").arg(format!("{name}={value}"));
        }
        watch
            .env("FOLDER", self.folder.path())
            .current_dir(self.folder.path());
        // Ctrl-C in a terminal goes to the whole group: it must outlive those who use it.
        watch.process_group(0);
        watch.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut watch = watch.spawn().context("cannot start Postgres")?;
        let orders = watch.stdin.take().context("the input of the watch")?;
        let output = watch.stdout.take().context("the output of the watch")?;
        let mut pid = String::new();
        BufReader::new(output).read_line(&mut pid)?;
        let pid = pid.trim().parse().context("the pid of Postgres")?;
        self.running = Some(Running { pid, watch, orders });
        self.wait_until_ready().await
    }

    /// Stops all processes of the server where they stand: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.running()?.signal("-STOP")
    }

    /// Ends [`Postgres::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.running()?.signal("-CONT")
    }

    /// Another server on a copy of the files as they lie there now, on a port of its own, with the same databases and
    /// passwords: what takes over when this one's machine is lost. Pause this one before: what it writes meanwhile may
    /// be in the copy or not.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn copy(&self) -> Result<Self> {
        let folder = new_folder(self.account.as_ref())?;
        let mut cp = self.command("cp");
        cp.arg("-a").arg(self.data()).arg(folder.path().join("data"));
        ensure!(
            cp.status()?.success(),
            "the files of Postgres could not be copied"
        );
        // Its pid is that of a server which runs.
        std::fs::remove_file(folder.path().join("data/postmaster.pid"))?;
        let mut copy = Self {
            bin: self.bin.clone(),
            account: self.account.clone(),
            options: self.options.clone(),
            port: 0,
            databases: AtomicU32::new(self.databases.load(Ordering::Relaxed)),
            running: None,
            folder,
        };
        copy.start_on_a_free_port().await?;
        Ok(copy)
    }

    fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("this Postgres is stopped")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// A command that runs as the server's account.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match &self.account {
            None => Command::new(program),
            Some(account) => account.command(program),
        }
    }

    async fn make_cluster(&self) -> Result<()> {
        let password = self.folder.path().join("password");
        std::fs::write(&password, PASSWORD)?;
        if let Some(account) = &self.account {
            account.give(&password)?;
        }
        let mut initdb = self.command(self.bin.join("initdb"));
        initdb.arg("-D").arg(self.data()).arg("--pwfile").arg(&password);
        initdb.args([
            "-U",
            USER,
            "-E",
            "UTF8",
            "--locale=C",
            "-A",
            "scram-sha-256",
            "--no-sync",
        ]);
        initdb.current_dir(self.folder.path());
        let output = tokio::process::Command::from(initdb).output().await?;
        ensure!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let started = Instant::now();
        let port = self.port.to_string();
        loop {
            let mut ready = tokio::process::Command::new(self.bin.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port, "-t", "1"]);
            if ready.status().await?.success() {
                return Ok(());
            }
            let pid = self.running()?.pid;
            let ended = !Path::new(&format!("/proc/{pid}/exe")).exists();
            if ended || started.elapsed() > START_DEADLINE {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let tail = log.lines().skip(log.lines().count().saturating_sub(10));
                let tail: Vec<_> = tail.collect();
                bail!(
                    "Postgres does not start on port {port}; its log ends with:\n{}",
                    tail.join("\n")
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A folder that the server's account may write to.
fn new_folder(account: Option<&Account>) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("hubbub-pg-").tempdir()?;
    if let Some(account) = account {
        account.give(folder.path())?;
    }
    Ok(folder)
}

impl Running {
    /// Signals the server and its processes, which do not share its process group.
    fn signal(&self, signal: &str) -> Result<()> {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid))?;
        let pid = self.pid.to_string();
        let mut kill = Command::new("kill");
        kill.arg(signal).arg(&pid).args(children.split_whitespace());
        // A child may have ended meanwhile.
        kill.stderr(Stdio::null()).status()?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(Running {
            mut watch, orders, ..
        }) = self.running.take()
        else {
            return;
        };
        drop(orders);
        let started = Instant::now();
        while matches!(watch.try_wait(), Ok(None)) && started.elapsed() < STOP_DEADLINE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Makes an empty database on the server behind `url`.
pub(super) async fn create_database(url: &str, name: &str) -> Result<()> {
    let mut psql = tokio::process::Command::new(find_bin()?.join("psql"));
    psql.args(["-X", "-q", "-d", url, "-c"])
        .arg(format!("CREATE DATABASE \"{name}\""));
    let output = psql.output().await?;
    ensure!(
        output.status.success(),
        "cannot make a database: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The folder with Postgres' programs: that of `initdb` on the `PATH`, else Debian's newest.
fn find_bin() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut debian: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    std::env::split_paths(&path)
        .chain(debian.into_iter().rev())
        .find(|folder| ["initdb", "postgres", "pg_isready", "psql"].iter().all(|name| folder.join(name).exists()))
        .context(
            "no Postgres server is installed: initdb, postgres, pg_isready and psql are neither on the PATH nor in \
             /usr/lib/postgresql/*/bin; on Debian: apt-get install postgresql",
        )
}
