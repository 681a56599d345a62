//! One fault at a time, at the size that matters, with a figure that has to be reached.

mod acts;
mod big_acts;
mod outcome;
mod probe;
mod setup;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::time::sleep;

pub use outcome::{Figure, Outcome};
pub use setup::{Scenario, Setup};

use crate::{
    chaos::{Crowd, Folder, SETTLE_WITHIN, Topic, Verdict, checked, say},
    check::{FAULTS_FILE, Window},
    journal::{Clock, Journal},
    signals::unless_interrupted,
    stage::{Stage, StageOptions, Witness},
};

/// Does one thing to a cluster of real processes under load, and measures what it does to people.
#[derive(Debug, Clone, clap::Args)]
pub struct FaultsArgs {
    /// What is done.
    #[arg(value_enum)]
    pub scenario: Scenario,
    /// How many nodes there are at first.
    #[arg(long)]
    pub nodes: Option<usize>,
    /// How many clients.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    pub clients: Option<u32>,
    /// How many rooms they are in.
    #[arg(long)]
    pub rooms: Option<u32>,
    /// Messages that all people together write a second.
    #[arg(long)]
    pub rate: Option<f64>,
    /// How long it lasts, in seconds.
    #[arg(long)]
    pub hold_seconds: Option<f64>,
    /// Time that a node has for leaving, in seconds.
    #[arg(long, default_value_t = 30)]
    pub drain_seconds: u64,
    /// Decides all that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Further configuration of every node, as often as needed.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
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

/// A scenario while it runs.
struct Act<'a> {
    setup: Setup,
    stage: &'a Stage,
    journal: &'a Journal,
    crowd: Arc<Crowd>,
    witness: &'a Witness,
    clock: Clock,
    drain: Duration,
    windows: Vec<Window>,
    figures: Vec<Figure>,
    verdict: Verdict,
}

/// Runs the command; the exit code is 1 when the figure was not reached or a promise was broken.
///
/// # Errors
/// When servers or nodes cannot be started, the scenario cannot be played, or it is interrupted.
pub async fn run(args: FaultsArgs) -> anyhow::Result<ExitCode> {
    let outcome = Box::pin(unless_interrupted(faults(&args))).await?;
    Ok(ExitCode::from(u8::from(!outcome.passed())))
}

async fn faults(args: &FaultsArgs) -> anyhow::Result<Outcome> {
    let folder = Folder::new(args.out.as_deref())?;
    let setup = args.scenario.setup(args);
    say(&format!(
        "{}; journals and logs are in {}",
        setup.describe(),
        folder.path().display()
    ));
    let options = StageOptions {
        nodes: setup.nodes,
        program: args.node.clone(),
        settings: settings(args)?,
        seed: args.seed,
    };
    let stage = Box::pin(Stage::start(folder.path(), options)).await?;
    let outcome = Box::pin(play(args, setup, &stage, folder.path())).await?;
    std::fs::write(
        folder.path().join("report.json"),
        serde_json::to_string_pretty(&outcome)?,
    )?;
    say(&outcome.to_string());
    drop(stage);
    if let Some(kept) = folder.leave(args.keep || !outcome.passed()) {
        say(&format!("kept in {}", kept.display()));
    }
    Ok(outcome)
}

fn settings(args: &FaultsArgs) -> anyhow::Result<Vec<(String, String)>> {
    let mut settings = vec![("drain.seconds".to_owned(), args.drain_seconds.to_string())];
    for setting in &args.settings {
        let (key, value) = setting
            .split_once('=')
            .with_context(|| format!("`--set {setting}` must be like KEY=VALUE"))?;
        settings.push((key.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

async fn play(
    args: &FaultsArgs,
    setup: Setup,
    stage: &Stage,
    folder: &std::path::Path,
) -> anyhow::Result<Outcome> {
    let journal = Journal::create(folder, "clients")?;
    let witness = Witness::start(stage.database(), Journal::create(folder, "witness")?)?;
    let options = setup.crowd(args.seed);
    let crowd = Crowd::gather(&stage.targets(), &journal, &options, Duration::from_secs(180)).await?;
    say(&format!("{} clients are in {} rooms", setup.clients, setup.rooms));
    let mut act = Act {
        setup,
        stage,
        journal: &journal,
        crowd: Arc::new(crowd),
        witness: &witness,
        clock: journal.clock(),
        drain: Duration::from_secs(args.drain_seconds),
        windows: Vec::new(),
        figures: Vec::new(),
        verdict: Verdict::default(),
    };
    Box::pin(act.perform(args.scenario)).await?;
    let Act {
        crowd,
        windows,
        figures,
        mut verdict,
        setup,
        ..
    } = act;
    if let Err(lacking) = crowd.settle(&witness, SETTLE_WITHIN).await {
        verdict.troubles.push(lacking);
    }
    verdict.troubles.extend(stage.fallen().await);
    let unfinished = Arc::into_inner(crowd)
        .context("somebody still talks")?
        .finish()
        .await;
    if unfinished > 0 {
        verdict.troubles.push(format!("{unfinished} clients did not end"));
    }
    witness.stop().await?;
    journal.close()?;
    std::fs::write(folder.join(FAULTS_FILE), serde_json::to_string_pretty(&windows)?)?;
    let check = checked(stage, folder).await?;
    verdict.violations = check.findings.total();
    let mut outcome = Outcome {
        scenario: setup.describe(),
        figures,
        check,
        verdict,
    };
    args.scenario.judge(&mut outcome);
    Ok(outcome)
}

impl Act<'_> {
    async fn perform(&mut self, scenario: Scenario) -> anyhow::Result<()> {
        match scenario {
            Scenario::KillNode => Box::pin(self.kill_nodes()).await,
            Scenario::RedisGone => Box::pin(self.redis_gone()).await,
            Scenario::BusDrops => Box::pin(self.bus_drops()).await,
            Scenario::PostgresGone => Box::pin(self.postgres_gone()).await,
            Scenario::Drain => Box::pin(self.drain()).await,
            Scenario::FourthNode => Box::pin(self.fourth_node()).await,
            Scenario::RestartAll => Box::pin(self.restart_all()).await,
            Scenario::StalledReader => Box::pin(self.stalled_reader()).await,
        }
    }

    fn topic(&self) -> Topic {
        Topic {
            rate: self.setup.rate,
            mixed: false,
            text_bytes: self.setup.text_bytes,
        }
    }

    /// Notes that something lasted from `from_us` until now, and its aftermath for as long as `rest`.
    async fn window(&mut self, name: &str, target: &str, from_us: u64, rest: Duration) {
        let to_us = self.clock.now_us();
        sleep(rest).await;
        self.windows.push(Window {
            name: name.to_owned(),
            target: target.to_owned(),
            from_us,
            to_us,
            after_us: self.clock.now_us(),
        });
    }

    /// Waits until everybody has everything; how long that took.
    async fn settled(&mut self) -> Duration {
        let begun = tokio::time::Instant::now();
        if let Err(lacking) = self.crowd.settle(self.witness, SETTLE_WITHIN).await {
            self.verdict.troubles.push(lacking);
        }
        begun.elapsed()
    }
}
