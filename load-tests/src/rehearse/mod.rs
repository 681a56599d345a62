//! `rehearse`: everything that a cluster on AWS goes through, on one machine and in about five minutes: it grows under load,
//! is updated, loses an instance and a zone, and shrinks again, while people talk. Nobody may lose anything.

mod acts;
mod deployment;
pub(crate) mod judge;
mod people;
mod sizes;
mod watch;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    chaos::{Folder, say},
    report::{self, Report},
    signals::{stop_on_signals, unless_interrupted},
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
    #[arg(long, default_value_t = 20.0, value_parser = number)]
    pub rate: f64,
    /// The most messages in a second to which the load is raised until the processors are busy.
    #[arg(long, default_value_t = 1500.0, value_parser = number)]
    pub busy_rate: f64,
    /// What is left out.
    #[arg(long, value_delimiter = ',')]
    pub skip: Vec<Act>,
    /// What is switched off, to see that the rehearsal fails then.
    #[arg(long)]
    pub without: Option<Without>,
    /// From when a message was due to when everybody was shown it, and from when it was due to its answer: 99 of 100 within
    /// so many milliseconds while the cluster grows, moves people, is updated and shrinks.
    #[arg(long, default_value_t = 500.0, value_parser = number)]
    pub p99_ms: f64,
    /// How long a new instance may take to have its share of the people, in seconds.
    #[arg(long, default_value_t = 60.0, value_parser = number)]
    pub share_within_seconds: f64,
    /// Decides all that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for the report; by default `load-report/rehearse-DATE-TIME`.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Start the deployment only, say where it is, and keep it until Ctrl-C: something to try `autoscale` on.
    #[arg(long)]
    pub deployment_only: bool,
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
/// When servers or nodes cannot be started at all, or it is interrupted.
pub async fn run(args: RehearseArgs) -> anyhow::Result<ExitCode> {
    if args.deployment_only {
        return Box::pin(keep(&args)).await;
    }
    let report = Box::pin(unless_interrupted(rehearse(&args))).await?;
    Ok(ExitCode::from(u8::from(!report.passed())))
}

/// Does it, with what happens on standard output, and writes the report.
///
/// # Errors
/// When servers or nodes cannot be started, or the report cannot be written. What went wrong later is in the report.
pub async fn rehearse(args: &RehearseArgs) -> anyhow::Result<Report> {
    sizes::check(args, &args.deployment.group(args.without)?)?;
    let folder = Folder::new(None)?;
    let report = Box::pin(acts::play(args, folder.path())).await?;
    ending(&report, args.out.as_deref(), args.without)?;
    if let Some(kept) = folder.leave(args.keep || (!report.passed() && args.without.is_none())) {
        say(&format!("Journals are kept in {}", kept.display()));
    }
    Ok(report)
}

/// A deployment for whoever wants one.
async fn keep(args: &RehearseArgs) -> anyhow::Result<ExitCode> {
    let stop = stop_on_signals()?;
    let deployment = Box::pin(Deployment::start(&args.deployment, args.without)).await?;
    let (url, token) = (deployment.url(), deployment.administrator().await?);
    say(&format!(
        "A deployment serves at {url}; Ctrl-C ends it. To load it until it grows:\n\n\
         HUBBUB_TOKEN={token} load-tests autoscale --target {url}"
    ));
    stop.cancelled().await;
    Ok(ExitCode::SUCCESS)
}

/// Writes the report into a folder, by default one of its own, and tells what came of the run.
pub(crate) fn ending(report: &Report, folder: Option<&Path>, without: Option<Without>) -> anyhow::Result<()> {
    let now = chrono::Local::now().format("%Y%m%d-%H%M%S");
    let new = PathBuf::from("load-report").join(format!("{}-{now}", report.run.name));
    let written = report::write(report, folder.unwrap_or(&new))?;
    say(&format!(
        "\n{}\n\nActs:\n{}{}\nReport: {} (for a browser), {} (everything), {} (for CI)",
        report::plain(report).trim_end(),
        judge::acts(report),
        judge::verdict(report, without),
        written.html.display(),
        written.json.display(),
        written.junit.display()
    ));
    Ok(())
}

impl RehearseArgs {
    fn plays(&self, act: Act) -> bool {
        !self.skip.contains(&act)
    }

    fn share_within(&self) -> Duration {
        Duration::try_from_secs_f64(self.share_within_seconds).unwrap_or_default()
    }
}

/// What is counted, waited for or said a second: not negative, and no more than a week has seconds.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    const MOST: f64 = 604_800.0;
    let number: f64 = text.parse().map_err(|_| "this is no number")?;
    if (0.0..=MOST).contains(&number) {
        Ok(number)
    } else {
        Err(format!("this is not between 0 and {MOST}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_no_wait_can_be_made_of_are_refused() {
        for right in ["0", "0.5", "60", "604800"] {
            let number = number(right).unwrap();
            assert!(Duration::try_from_secs_f64(number).is_ok(), "{right}");
        }
        for wrong in ["inf", "-inf", "nan", "-1", "1e300", "", "soon"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
