//! How many machines a load needs, and what they cost: from what each kind of work was measured to cost.

mod calibration;
mod cost;
mod fit;
mod load;
mod prices;
mod show;
mod simulate;
mod size;
#[cfg(test)]
mod tests;
mod work;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;

pub use calibration::{Bytes, Calibration, Unseen};
pub use load::Load;
pub use prices::{Machine, Prices};
pub use simulate::{Simulated, simulate};
pub use size::{Headroom, Machines, Plan, plan};
pub use work::{Kind, Work, heads, spread};

use crate::{
    chaos::say,
    report::{self, Report},
};

/// Plans a cluster for a load: machines, Redis, Postgres, dollars a month, from measured costs.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  load-tests plan --people 1000000 --online 0.3
  load-tests plan --people 20000 --messages-per-person-hour 30 --people-per-room 200 --simulate
  load-tests plan --from idle/report.json --from rooms/report.json --save mine.toml
  load-tests plan --calibration mine.toml --check mixed/report.json")]
pub struct PlanArgs {
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    headroom: Headroom,
    /// Costs to go by; by default those that come with this program.
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Take the costs from runs of `load-tests run` that started nodes of their own; as often as needed.
    #[arg(long, value_name = "REPORT.JSON", conflicts_with = "calibration")]
    from: Vec<PathBuf>,
    /// Write the costs down.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Say what these runs should have taken by the costs, and what they took, in place of a plan; as often as needed. With
    /// `--save` the errors are kept with the costs.
    #[arg(long, value_name = "REPORT.JSON")]
    check: Vec<PathBuf>,
    /// Prices to go by; by default those that come with this program.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Also play rooms of all sizes over the planned nodes.
    #[arg(long)]
    simulate: bool,
    /// Decides what is left to chance in it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or written, or no machine does.
pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let mut costs = costs(args)?;
    let reports = read(&args.check)?;
    if let Some(unseen) = Unseen::of(&costs, &reports) {
        costs.unseen = Some(unseen);
    }
    if let Some(file) = &args.save {
        costs.write(file)?;
        say(&format!("the costs are in {}", file.display()));
    }
    if !reports.is_empty() {
        say(&show::checked(&costs, &reports));
        return Ok(ExitCode::SUCCESS);
    }
    let prices = Prices::find(args.prices.as_deref())?;
    let plan = plan(&args.load, &costs, &prices, &args.headroom).context(
        "no kind of machine holds this load, however many there are: more nodes are more work for each other",
    )?;
    say(&show::plan(&args.load, &plan, &costs, &prices, &args.headroom));
    if args.simulate {
        let shards = plan.redis.as_ref().map_or(1.0, |redis| redis.count);
        let seen = simulate(
            &args.load,
            show::whole(plan.nodes[0].count),
            show::whole(shards),
            args.seed,
        );
        say(&show::simulated(&seen));
    }
    Ok(ExitCode::SUCCESS)
}

fn costs(args: &PlanArgs) -> anyhow::Result<Calibration> {
    match &args.calibration {
        Some(file) => Calibration::read(file),
        None if args.from.is_empty() => Calibration::shipped(),
        None => Calibration::from_runs(&read(&args.from)?, &Calibration::shipped()?),
    }
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Report>> {
    files.iter().map(|file| report::read(file)).collect()
}

/// The most connections at once.
fn peak_connections(report: &Report) -> f64 {
    report::Costs::of(report).connections
}
