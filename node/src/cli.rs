//! The command line.
//!
//! Exit codes: 0 done, 1 it failed while running, 2 wrong usage or configuration.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::config::{self, Assignment, Config, Problems, Sources};

/// What the process was started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Serve until told to end.
    Run,
    /// Print the configuration in force.
    PrintConfig,
    /// Bring the store's schema up to date and end.
    Migrate,
    /// Begin a new history of the store, after a backup was restored, and end.
    NewEpoch,
    /// Make an account administrator, and end.
    MakeAdministrator {
        /// The account's name.
        name: String,
        /// If there is no such account, make it, with the password on standard input.
        password_stdin: bool,
    },
    /// Ask a running node whether it is ready, and end.
    Healthcheck,
}

/// What to do, and with which configuration.
#[derive(Debug)]
pub struct Invocation {
    /// What to do.
    pub action: Action,
    /// Checked as a whole.
    pub config: Config,
}

/// There is nothing to do but to say why.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Wrong usage; or help or the version were asked for.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] Problems),
}

impl CliError {
    /// What the process ends with: 0 after help or version, else 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(error) if !error.use_stderr() => 0,
            Self::Usage(_) | Self::Config(_) => 2,
        }
    }

    /// Says so to who started the process: help and version on standard output, the rest on standard error.
    pub fn report(&self) -> ExitCode {
        // Nobody is left to tell when the streams are closed.
        let _ = match self {
            Self::Usage(error) => error.print(),
            Self::Config(problems) => writeln!(io::stderr(), "error: {problems}"),
        };
        self.exit_code().into()
    }
}

/// Prints the configuration in force on standard output, as TOML with passwords masked.
///
/// # Errors
/// When a path in it is not UTF-8, or nobody reads the output.
pub fn print_config(config: &Config) -> anyhow::Result<()> {
    let text = config.to_toml().context("cannot print the configuration")?;
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print the configuration")
}

/// Reads the arguments and the environment of this process, and the configuration that they lead to.
///
/// # Errors
/// With what to [report](CliError::report) before the process ends.
pub fn parse() -> Result<Invocation, CliError> {
    parse_from(std::env::args_os(), std::env::vars_os(), PathBuf::from("."))
}

/// As [`parse`], from given arguments (the first is the program's name), environment and working folder.
///
/// # Errors
/// With what to [report](CliError::report) before the process ends.
pub fn parse_from(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    folder: PathBuf,
) -> Result<Invocation, CliError> {
    let line = CommandLine::try_parse_from(arguments)?;
    let config = config::load(&Sources {
        file: line.flags.config.clone(),
        folder,
        environment: environment.into_iter().collect(),
        flags: line.flags.assignments(),
    })?;
    Ok(Invocation {
        action: line.action(),
        config,
    })
}

/// A node of a Hubbub chat cluster.
///
/// Without a command it serves until it is told to end. Without any configuration it serves on port 8080 and keeps
/// everything in ./hubbub-data.
#[derive(Debug, Parser)]
#[command(name = "node", version, after_help = AFTER_HELP)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

const AFTER_HELP: &str = "\
The configuration is put together from the defaults, the file, environment variables (HUBBUB__SECTION__KEY) and \
flags; the later one wins. `node config` prints the result, docs/configuration.md describes every key.

Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration.";

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Print the configuration in force as TOML, passwords masked
    Config,
    /// Bring the store's schema up to date
    Migrate,
    /// Begin a new history: to be run once after a backup was restored, before the nodes start
    NewEpoch,
    /// Make an account administrator; running nodes take it up at once
    MakeAdministrator {
        /// The account's name
        name: String,
        /// Make the account if there is none, with the first line of standard input as its password
        #[arg(long)]
        password_stdin: bool,
    },
    /// Ask the node at http.private_listen whether it is ready: exit code 0 if so, else 1
    Healthcheck,
}

#[derive(Debug, Args)]
struct Flags {
    /// Configuration file (TOML) [default: $HUBBUB_CONFIG, else ./hubbub.toml if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any key, such as `--set limits.presence_people=50`; may be repeated
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = assignment)]
    set: Vec<Assignment>,
    /// http.listen: address and port for clients
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// http.private_listen: address and port for metrics and health
    #[arg(long, global = true, value_name = "ADDRESS")]
    private_listen: Option<String>,
    /// store.url: sqlite://… or postgres://…; passwords are better kept in HUBBUB__STORE__URL
    #[arg(long, global = true, value_name = "URL")]
    store_url: Option<String>,
    /// bus.url: local://, redis://… or rediss://…; passwords are better kept in HUBBUB__BUS__URL
    #[arg(long, global = true, value_name = "URL")]
    bus_url: Option<String>,
    /// data_dir: folder for the embedded store
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// log.format: text or json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// log.level: off, error, warn, info, debug, trace, or a list by target
    #[arg(long, global = true, value_name = "FILTER")]
    log_level: Option<String>,
}

impl CommandLine {
    fn action(&self) -> Action {
        match &self.command {
            None => Action::Run,
            Some(Command::Config) => Action::PrintConfig,
            Some(Command::Migrate) => Action::Migrate,
            Some(Command::NewEpoch) => Action::NewEpoch,
            Some(Command::MakeAdministrator { name, password_stdin }) => Action::MakeAdministrator {
                name: name.clone(),
                password_stdin: *password_stdin,
            },
            Some(Command::Healthcheck) => Action::Healthcheck,
        }
    }
}

impl Flags {
    /// The flags as keys; a flag of its own wins over `--set`.
    fn assignments(&self) -> Vec<Assignment> {
        let named = [
            ("--listen", "http.listen", &self.listen),
            ("--private-listen", "http.private_listen", &self.private_listen),
            ("--store-url", "store.url", &self.store_url),
            ("--bus-url", "bus.url", &self.bus_url),
            ("--data-dir", "data_dir", &self.data_dir),
            ("--log-format", "log.format", &self.log_format),
            ("--log-level", "log.level", &self.log_level),
        ];
        let named = named.into_iter().filter_map(|(flag, key, value)| {
            Some(Assignment {
                key: key.to_owned(),
                value: value.clone()?,
                origin: format!("flag {flag}"),
            })
        });
        self.set.iter().cloned().chain(named).collect()
    }
}

fn assignment(text: &str) -> Result<Assignment, String> {
    let (key, value) = text.split_once('=').ok_or("it must be SECTION.KEY=VALUE")?;
    Ok(Assignment {
        key: key.trim().to_owned(),
        value: value.to_owned(),
        origin: "flag --set".to_owned(),
    })
}
