//! What the `load-tests` command can do.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    autoscale, chaos, check, compare, faults, fleet, lab, plan, play, rehearse, rolling, scenario, smoke,
};

const EXAMPLES: &str = "\
Examples:
  load-tests                                       start a node and play `mixed` against it, about 40 s
  load-tests --target wss://chat.example.com/ws    the same against a deployment
  load-tests scenarios                             what there is to play
  load-tests run fanout --connections 2000         one big room of 2,000 people
  load-tests run ramp --nodes 2                    how many messages a second two nodes hold
  load-tests run my.toml --target ws://a/ws --target ws://b/ws --out report

Without --target a node of its own is started and removed afterwards. Each run writes report files into load-report/ and
says where; the exit code is 1 when something did not hold that has to.";

/// Hubbub's load harness: plays scenarios against nodes, checks every promise, and says what came of it. Without a command it
/// starts a node and plays a short day of people against it.
#[derive(Debug, Parser)]
#[command(name = "load-tests", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    play: play::PlayArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays a scenario, built in or from a TOML file.
    Run {
        /// A name out of `scenarios`, or a file.
        scenario: String,
        #[command(flatten)]
        play: Box<play::PlayArgs>,
    },
    /// Lists the built-in scenarios, or prints one as a file to begin with.
    Scenarios {
        /// Which one to print.
        name: Option<String>,
    },
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
    /// Holds a run against another one by their reports, as ratios, and fails when something became worse.
    Compare(compare::CompareArgs),
    /// Plans a cluster for so many people from measured costs: machines, Redis, Postgres, dollars a month.
    Plan(plan::PlanArgs),
    /// Runs a command with private servers of its own, found in HUBBUB_TEST_POSTGRES_URL and
    /// HUBBUB_TEST_REDIS_URL, and removes them afterwards.
    Lab {
        /// The command and its arguments.
        #[arg(required = true, last = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Clients of a run, driven by their parent over standard input.
    #[command(name = fleet::WORKER, hide = true)]
    Worker,
}

impl Cli {
    /// Does what was asked for; the process should end with the code that this returns.
    ///
    /// # Errors
    /// When something kept it from being done, in words for the person who asked.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Some(command) = self.command else {
            return Box::pin(play::run(play::DEFAULT_SCENARIO, self.play)).await;
        };
        match command {
            Command::Run { scenario, play } => Box::pin(play::run(&scenario, *play)).await,
            Command::Scenarios { name } => scenario::list(name.as_deref()),
            Command::Smoke(args) => smoke::run(args).await,
            Command::Chaos(args) => Box::pin(chaos::run(args)).await,
            Command::Faults(args) => Box::pin(faults::run(args)).await,
            Command::Check(args) => Box::pin(check::run(args)).await,
            Command::Rolling(args) => Box::pin(rolling::run(args)).await,
            Command::Rehearse(args) => Box::pin(rehearse::run(args)).await,
            Command::Autoscale(args) => Box::pin(autoscale::run(args)).await,
            Command::Compare(args) => compare::run(&args),
            Command::Plan(args) => plan::run(&args),
            Command::Lab { command } => lab::run(&command).await,
            Command::Worker => fleet::worker().await,
        }
    }
}
