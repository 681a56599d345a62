//! Private Redis servers.

use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    certificates::Certificates,
    ports::{Overtaken, free_port},
};
use crate::measure::Usage;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(15);

/// How to run a [`Redis`].
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// TLS only, with a certificate from an authority of its own: [`Redis::ca_file`].
    pub tls: bool,
    /// The one user that may sign in, and the password; by default nobody needs to.
    pub auth: Option<(String, String)>,
    /// Follow the server on this port of 127.0.0.1, and refuse writes.
    pub replica_of: Option<u16>,
    /// Further lines for the configuration file.
    pub config: Vec<String>,
}

/// A Redis server of its own on a free port of 127.0.0.1, without persistence. Dropping it ends the process and
/// removes the folder.
#[derive(Debug)]
pub struct Redis {
    options: RedisOptions,
    folder: TempDir,
    certificates: Option<Certificates>,
    port: u16,
    child: Option<Child>,
}

/// The Redis that tests use: the one named in the environment, or a private one.
#[derive(Debug)]
pub struct TestRedis {
    url: String,
    _private: Option<Redis>,
}

/// A Redis for tests that need no power over the server itself: the one in `HUBBUB_TEST_REDIS_URL`, else a private
/// one. It may be shared: each test takes a key prefix of its own.
///
/// # Errors
/// As [`Redis::start`].
pub fn redis_for_tests() -> anyhow::Result<TestRedis> {
    if let Ok(url) = env::var("HUBBUB_TEST_REDIS_URL") {
        return Ok(TestRedis { url, _private: None });
    }
    let private = Redis::start()?;
    Ok(TestRedis {
        url: private.url(),
        _private: Some(private),
    })
}

impl TestRedis {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Redis {
    /// Starts one without TLS and passwords; blocks until it answers.
    ///
    /// # Errors
    /// When `redis-server` is not installed or does not start; the error holds the server's own words.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(RedisOptions::default())
    }

    /// Starts one; blocks until it answers.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn start_with(options: RedisOptions) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hubbub-redis-").tempdir()?;
        let certificates = options
            .tls
            .then(|| Certificates::generate(folder.path()))
            .transpose()?;
        let mut redis = Self {
            options,
            folder,
            certificates,
            port: 0,
            child: None,
        };
        let mut overtaken = Overtaken::default();
        loop {
            redis.port = free_port()?;
            match redis.spawn() {
                Ok(()) => return Ok(redis),
                Err(error) => overtaken.again(error)?,
            }
        }
    }

    /// Where it is, with user and password.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "rediss" } else { "redis" };
        let auth = match &self.options.auth {
            Some((user, password)) => format!("{user}:{password}@"),
            None => String::new(),
        };
        format!("{scheme}://{auth}127.0.0.1:{}", self.port)
    }

    /// What it has cost since the last start; `None` while it does not run.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.child.as_ref()?.id()).ok()
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of its authority, a PEM file, if it speaks TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.certificates.as_ref().map(|c| c.ca.as_path())
    }

    /// Runs a command with `redis-cli` and returns what it prints.
    ///
    /// # Errors
    /// When the server cannot be reached or answers with an error.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut cli = Command::new("redis-cli");
        cli.args(["-e", "--raw", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(certificates) = &self.certificates {
            cli.arg("--tls").arg("--cacert").arg(&certificates.ca);
        }
        if let Some((user, password)) = &self.options.auth {
            cli.args(["--user", user]).env("REDISCLI_AUTH", password);
        }
        let output = cli
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(explain_missing)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if !output.status.success() {
            bail!(
                "redis-cli {arguments:?}: {}{}",
                text(&output.stdout),
                text(&output.stderr)
            );
        }
        Ok(text(&output.stdout))
    }

    /// Ends the process at once; the port stays reserved for [`Redis::restart`] in so far as nobody takes it.
    ///
    /// # Errors
    /// When the process cannot be ended.
    pub fn stop(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops it if it runs and starts it on the same port, empty.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.spawn()
    }

    /// Freezes the process: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let child = self.child.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        let log = self.log_file();
        if let Err(error) = fs::remove_file(&log)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("cannot remove {}", log.display()));
        }
        let config = self.folder.path().join("redis.conf");
        fs::write(&config, self.config()).with_context(|| format!("cannot write {}", config.display()))?;
        let child = Command::new("redis-server")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal goes to the whole group: the server must outlive those who use it.
            .process_group(0)
            .spawn()
            .map_err(explain_missing)?;
        self.child = Some(child);
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = fs::read_to_string(self.log_file()).unwrap_or_default();
            if said.contains("Ready to accept connections") {
                return Ok(());
            }
            let ended = match &mut self.child {
                Some(child) => child.try_wait()?.is_some(),
                None => true,
            };
            if ended || Instant::now() > deadline {
                self.stop()?;
                bail!(
                    "redis-server did not start on port {}; it said:\n{said}",
                    self.port
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("redis.log")
    }

    fn config(&self) -> String {
        let folder = self.folder.path();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "save \"\"".into(),
            "appendonly no".into(),
            format!("dir \"{}\"", folder.display()),
            format!("logfile \"{}\"", self.log_file().display()),
        ];
        match &self.certificates {
            None => lines.push(format!("port {}", self.port)),
            Some(certificates) => lines.extend([
                "port 0".into(),
                format!("tls-port {}", self.port),
                format!("tls-cert-file \"{}\"", certificates.certificate.display()),
                format!("tls-key-file \"{}\"", certificates.key.display()),
                format!("tls-ca-cert-file \"{}\"", certificates.ca.display()),
                "tls-auth-clients no".into(),
            ]),
        }
        if let Some((user, password)) = &self.options.auth {
            lines.push("user default off".into());
            lines.push(format!("user {user} on >{password} ~* &* +@all"));
        }
        if let Some(port) = self.options.replica_of {
            lines.push(format!("replicaof 127.0.0.1 {port}"));
            lines.push("repl-diskless-sync-delay 0".into());
        }
        lines.extend(self.options.config.iter().cloned());
        lines.join("\n") + "\n"
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Nothing more can be done about a process that cannot be ended.
        let _ = self.stop();
    }
}

fn explain_missing(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::NotFound {
        anyhow::anyhow!(
            "redis-server and redis-cli are not installed: install them (Debian and Ubuntu: apt install redis-server), \
             or name a running server in HUBBUB_TEST_REDIS_URL"
        )
    } else {
        error.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_server_comes_back_empty_and_leaves_nothing() {
        let mut redis = Redis::start().unwrap();
        let folder = redis.folder.path().to_owned();
        assert_eq!(redis.command(&["SET", "a", "1"]).unwrap(), "OK");
        assert_eq!(redis.command(&["GET", "a"]).unwrap(), "1");
        redis.stop().unwrap();
        assert!(redis.command(&["PING"]).is_err());
        redis.restart().unwrap();
        assert_eq!(redis.command(&["GET", "a"]).unwrap(), "");
        drop(redis);
        assert!(!folder.exists());
    }

    #[test]
    fn tls_and_passwords_are_required_where_asked_for() {
        let redis = Redis::start_with(RedisOptions {
            tls: true,
            auth: Some(("hubbub".into(), "s3cret".into())),
            ..RedisOptions::default()
        })
        .unwrap();
        assert_eq!(redis.command(&["ACL", "WHOAMI"]).unwrap(), "hubbub");
        assert!(redis.url().starts_with("rediss://hubbub:s3cret@127.0.0.1:"));
    }

    #[test]
    fn a_panic_removes_the_server_too() {
        let seen = std::sync::Mutex::new((PathBuf::new(), 0));
        let result = std::panic::catch_unwind(|| {
            let redis = Redis::start().unwrap();
            *seen.lock().unwrap() = (redis.folder.path().to_owned(), redis.port);
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(result.is_err());
        let (folder, port) = seen.into_inner().unwrap();
        assert!(!folder.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
