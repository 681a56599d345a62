//! `rehearse`: everything that a cluster on AWS goes through, on one machine and in about five minutes: it grows under load,
//! is updated, loses an instance and a zone, and shrinks again, while people talk. Nobody may lose anything.

mod acts;
mod deployment;
pub(crate) mod judge;
mod people;
mod watch;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    chaos::{Folder, say},
    report::{self, Report},
};

pub(crate) use people::{Crew, People};
pub(crate) use watch::Watch;

pub use deployment::{Deployment, DeploymentOptions};

/// How often it is looked whether something has come so far.
const LOOK: Duration = Duration::from_millis(100);

/// Plays all that happens to a cluster on AWS on this machine, under load, and fails when anybody notices.
#[derive(Debug, Clone, clap::Args)]
pub struct RehearseArgs {
    /// What is rehearsed on.
    #[command(flatten)]
    pub deployment: DeploymentOptions,
    /// How many rooms; each person is in one, every third in another one too.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rooms: u32,
    /// Messages of all people together in a second, at rest.
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// The most messages in a second to which the load is raised until the processors are busy.
    #[arg(long, default_value_t = 600.0)]
    pub busy_rate: f64,
    /// What is left out.
    #[arg(long, value_delimiter = ',')]
    pub skip: Vec<Act>,
    /// What is switched off, to see that the rehearsal fails then.
    #[arg(long)]
    pub without: Option<Without>,
    /// From when a message was due to when everybody was shown it, and from when it was due to its answer: 99 of 100 within
    /// so many milliseconds while the cluster grows, moves people, is updated and shrinks.
    #[arg(long, default_value_t = 500.0)]
    pub p99_ms: f64,
    /// How long a new instance may take to have its share of the people, in seconds.
    #[arg(long, default_value_t = 60.0)]
    pub share_within_seconds: f64,
    /// Decides all that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for the report.
    #[arg(long, default_value = "load-report")]
    pub out: PathBuf,
    /// Keep the journals of the people, which are else removed unless something was wrong.
    #[arg(long)]
    pub keep: bool,
}

/// What can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Act {
    /// So many messages that the processors are busy, until the group grows by that.
    Busy,
    /// Every instance is replaced, one after the other.
    Update,
    /// An instance is gone.
    Instance,
    /// A zone is gone.
    Zone,
}

/// What can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Without {
    /// Nodes that are to end give their people no time to move (`drain.seconds` is 0).
    Drain,
    /// Nodes never ask anybody to move to another one (`cluster.rebalance_percent` is 0).
    Rebalancing,
    /// Nodes do not fill holes that the bus leaves (another program, `node/examples/without_repair.rs`).
    Repair,
}

/// Runs the command; the exit code is 1 when a check failed.
///
/// # Errors
/// When servers or nodes cannot be started at all.
pub async fn run(args: RehearseArgs) -> anyhow::Result<ExitCode> {
    let report = Box::pin(rehearse(&args)).await?;
    Ok(ExitCode::from(u8::from(!report.passed())))
}

/// Does it, with what happens on standard output, and writes the report.
///
/// # Errors
/// When servers or nodes cannot be started, or the report cannot be written. What went wrong later is in the report.
pub async fn rehearse(args: &RehearseArgs) -> anyhow::Result<Report> {
    let folder = Folder::new(None)?;
    let report = Box::pin(acts::play(args, folder.path())).await?;
    let written = report::write(&report, &args.out)?;
    say(&judge::verdict(&report, args.without));
    say(&format!("the report is {}", written.html.display()));
    if let Some(kept) = folder.leave(args.keep || (!report.passed() && args.without.is_none())) {
        say(&format!("journals are kept in {}", kept.display()));
    }
    Ok(report)
}

impl RehearseArgs {
    fn plays(&self, act: Act) -> bool {
        !self.skip.contains(&act)
    }

    fn share_within(&self) -> Duration {
        Duration::from_secs_f64(self.share_within_seconds.max(0.0))
    }
}

/// How long it took until something is so; `None` if it was not in time.
pub(crate) async fn until(limit: Duration, is_so: impl Fn() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    loop {
        let took = begun.elapsed();
        if is_so() {
            return Some(took);
        }
        if took > limit {
            return None;
        }
        sleep(LOOK).await;
    }
}
