//! What the `load-tests` command can do.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{autoscale, chaos, check, faults, lab, rehearse, rolling, smoke};

/// Runs Hubbub's heavier tests, and servers to run tests against.
#[derive(Debug, Parser)]
#[command(name = "load-tests", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lets many clients talk through running nodes and checks every promise of order and acknowledgement on each.
    Smoke(smoke::SmokeArgs),
    /// Starts a cluster of real processes, harms it in every way while people talk, and checks every promise.
    Chaos(chaos::ChaosArgs),
    /// Does one thing to a cluster of real processes under load, and measures what it does to people.
    Faults(faults::FaultsArgs),
    /// Checks what the clients of a run wrote down, against the store and against one another.
    Check(check::CheckArgs),
    /// Replaces every node of a small cluster behind a load balancer while people talk: nobody may notice.
    Rolling(rolling::RollingArgs),
    /// Plays all that happens to a cluster on AWS on this machine, under load: it grows, is updated, loses an instance and
    /// a zone, and shrinks. Nobody may notice.
    Rehearse(rehearse::RehearseArgs),
    /// Loads any deployment until it grows, takes the load away until it shrinks, and checks what it promises on the way.
    Autoscale(autoscale::AutoscaleArgs),
    /// Runs a command with private servers of its own, found in HUBBUB_TEST_POSTGRES_URL and
    /// HUBBUB_TEST_REDIS_URL, and removes them afterwards.
    Lab {
        /// The command and its arguments.
        #[arg(required = true, last = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

impl Cli {
    /// Does what was asked for; the process should end with the code that this returns.
    ///
    /// # Errors
    /// When something kept it from being done, in words for the person who asked.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Smoke(args) => smoke::run(args).await,
            Command::Chaos(args) => Box::pin(chaos::run(args)).await,
            Command::Faults(args) => Box::pin(faults::run(args)).await,
            Command::Check(args) => Box::pin(check::run(args)).await,
            Command::Rolling(args) => Box::pin(rolling::run(args)).await,
            Command::Rehearse(args) => Box::pin(rehearse::run(args)).await,
            Command::Autoscale(args) => Box::pin(autoscale::run(args)).await,
            Command::Lab { command } => lab::run(&command).await,
        }
    }
}
