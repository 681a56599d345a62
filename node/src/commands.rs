//! What the `node` command does, each with its exit code: 0 done, 1 failed.

use std::{
    future::Future,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use actors::ports::{Account, Accounts, Claim, NewAccount, NewAudit};
use anyhow::Context;
use protocol::Person;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    auth::{
        names::Name,
        password::{Password, Passwords},
        token,
    },
    config::Config,
    server::Server,
    store::{self, Stores},
    telemetry,
};

/// A health check that has no answer by then has failed.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves until told to end by SIGTERM or Ctrl-C; a second signal ends at once.
pub fn run(config: Config) -> ExitCode {
    in_runtime(&config.clone(), async {
        let mut signals = Signals::new()?;
        let mut server = Server::bind(config)?;
        say(&format!("listening on http://{}", server.public_address()))?;
        say(&format!("private on http://{}", server.private_address()))?;
        let told = tokio::select! {
            started = server.start() => {
                started?;
                signals.next().await
            }
            told = signals.next() => told,
        };
        tracing::info!(signal = told, "draining; a second signal ends at once");
        tokio::select! {
            () = server.drain() => tracing::info!("ended"),
            told = signals.next() => tracing::warn!(signal = told, "ended at once"),
        }
        Ok(())
    })
}

/// Prints the configuration in force.
pub fn print_config(config: &Config) -> ExitCode {
    let printed = config
        .to_toml()
        .map_err(anyhow::Error::from)
        .and_then(|toml| say(toml.trim_end()));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Brings the store's schema up to date.
pub fn migrate(config: &Config) -> ExitCode {
    in_runtime(config, async {
        with_store(config, async |_| say("the store's schema is up to date")).await
    })
}

/// Begins a new history of the store.
pub fn new_epoch(config: &Config) -> ExitCode {
    in_runtime(config, async {
        let epoch = with_store(config, async |stores| Ok(stores.log.new_epoch().await?)).await?;
        say(&format!(
            "the store's epoch is now {epoch}; clients that come back start anew"
        ))
    })
}

/// Makes an account administrator. If there is none of that name and `password_stdin` says so, it is made first.
pub fn make_administrator(config: &Config, name: &str, password_stdin: bool) -> ExitCode {
    in_runtime(config, async {
        let name = Name::new(name).map_err(|rule| anyhow::anyhow!("the name {name:?} {rule}"))?;
        let account = with_store(config, async |stores| {
            give_administration(&*stores.accounts, name, password_stdin).await
        })
        .await?;
        say(&format!(
            "{} ({}) is administrator",
            account.person.name, account.person.id
        ))
    })
}

/// Reaches the store, and closes it behind `act`.
async fn with_store<T>(
    config: &Config,
    act: impl AsyncFnOnce(&Stores) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let stores = Box::pin(store::connect(config)).await?;
    let done = act(&stores).await;
    stores.log.close().await;
    done
}

async fn give_administration(
    accounts: &dyn Accounts,
    name: Name,
    password_stdin: bool,
) -> anyhow::Result<Account> {
    let mut audit = NewAudit {
        actor: Person {
            id: "operator".into(),
            name: "operator".into(),
        },
        action: "administrator.give",
        target: "".into(),
        room: None,
        details: "{}".to_owned(),
    };
    let account = match accounts.login(&name.keys[0]).await? {
        Some(login) => login.account,
        None if password_stdin => new_account(accounts, name, &mut audit).await?,
        None => anyhow::bail!(
            "there is no account {:?}; sign up first, or make it with --password-stdin",
            name.text
        ),
    };
    audit.target = Arc::clone(&account.person.id);
    accounts
        .set_administrator(&account.person.id, true, &audit)
        .await?;
    Ok(account)
}

async fn new_account(accounts: &dyn Accounts, name: Name, audit: &mut NewAudit) -> anyhow::Result<Account> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let password = Password::new(line.trim_end_matches(['\r', '\n']))
        .map_err(|rule| anyhow::anyhow!("the password on standard input {rule}"))?;
    let hash = async { Passwords::new()?.hash(password).await }.await;
    let hash = hash.map_err(|_| anyhow::anyhow!("the password could not be hashed"))?;
    let id: Arc<str> = token::new_id("u_")?.into();
    audit.target = Arc::clone(&id);
    let account = NewAccount {
        person: Person {
            id,
            name: name.text.as_str().into(),
        },
        name_keys: name.keys,
        password: Some(hash),
        administrator: false,
        bot: false,
    };
    let made = NewAudit {
        action: "user.create",
        ..audit.clone()
    };
    match accounts.create_account(&account, &made).await? {
        Claim::Given(account) => Ok(account),
        Claim::Taken | Claim::NoAccount => {
            anyhow::bail!("the name {:?} is too much like another account's", name.text)
        }
    }
}

/// Asks the node on this machine whether it is ready.
pub fn healthcheck(config: &Config) -> ExitCode {
    match ask_readiness(config.http.private_listen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn ask_readiness(mut address: SocketAddr) -> anyhow::Result<bool> {
    if address.ip().is_unspecified() {
        let loopback: IpAddr = if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(loopback);
    }
    let mut stream = TcpStream::connect_timeout(&address, HEALTHCHECK_TIMEOUT)
        .with_context(|| format!("no node answers on {address} (http.private_listen)"))?;
    stream.set_read_timeout(Some(HEALTHCHECK_TIMEOUT))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(4_096).read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn in_runtime(config: &Config, work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let run = || {
        telemetry::logs::init(&config.log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(work)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Standard output is for what programs read: addresses, configuration, results.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn complain(error: &anyhow::Error) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
}
