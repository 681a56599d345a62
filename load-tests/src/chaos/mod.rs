//! Real nodes, real servers, many clients, and a seeded schedule of faults; at the end everything has to be right.

mod crowd;
mod fault;
mod report;
mod run;
mod schedule;

use std::{path::PathBuf, process::ExitCode, time::Duration};

pub(crate) use crowd::source_address;
pub use crowd::{Crowd, CrowdOptions, Member, Talk, Topic};
pub use fault::{Fault, FaultKind};
pub use report::{ChaosReport, Verdict};
pub(crate) use run::{Folder, SETTLE_WITHIN, checked, say};
pub use schedule::{Pace, Round, Schedule};

use crate::signals::unless_interrupted;

/// Starts a cluster of real processes, harms it in every way while people talk, and checks every promise.
#[derive(Debug, Clone, clap::Args)]
pub struct ChaosArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub nodes: u32,
    /// How many clients.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: u32,
    /// How many rooms they are in; by default one for each 20.
    #[arg(long)]
    pub rooms: Option<u32>,
    /// How long faults go on, in minutes.
    #[arg(long, default_value_t = 30.0)]
    pub minutes: f64,
    /// Things that all people together write a second.
    #[arg(long, default_value_t = 30.0)]
    pub rate: f64,
    /// The longest that one fault lasts, in seconds; the shortest is a quarter of it.
    #[arg(long, default_value_t = 8.0)]
    pub hold_seconds: f64,
    /// The longest pause between faults, in seconds.
    #[arg(long, default_value_t = 5.0)]
    pub rest_seconds: f64,
    /// Time that a node has for leaving, in seconds.
    #[arg(long, default_value_t = 8)]
    pub drain_seconds: u64,
    /// Decides which faults come when; by default a new one, which is printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// The node's program; by default the one that HUBBUB_TEST_NODE names, or `node` beside this program.
    #[arg(long)]
    pub node: Option<PathBuf>,
    /// Folder for journals, logs and the report; by default a temporary one, which is kept only if something was wrong.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Keep the folder in any case.
    #[arg(long)]
    pub keep: bool,
}

/// Runs the command; the exit code is 1 when a promise was broken, or something did not come back.
///
/// # Errors
/// When servers or nodes cannot be started at all, or it is interrupted.
pub async fn run(args: ChaosArgs) -> anyhow::Result<ExitCode> {
    let report = Box::pin(unless_interrupted(run::run(&args))).await?;
    Ok(ExitCode::from(u8::from(!report.verdict.passed())))
}

impl ChaosArgs {
    fn pace(&self) -> Pace {
        Pace {
            hold: Duration::from_secs_f64(self.hold_seconds.max(0.0)),
            rest: Duration::from_secs_f64(self.rest_seconds.max(0.0)),
        }
    }
}
