//! The chaos run itself.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{
    ChaosArgs, ChaosReport, Crowd, CrowdOptions, Round, Schedule, Topic, Verdict,
    fault::{Fault, all_ready},
};
use crate::{
    check::{self, FAULTS_FILE, Ledger, Settings, Window},
    journal::{Clock, Journal},
    stage::{Stage, StageOptions, Witness},
};

/// How long clients may take to come in.
const GATHER_WITHIN: Duration = Duration::from_secs(120);
/// How long everybody may take to have everything once all is healed.
pub(crate) const SETTLE_WITHIN: Duration = Duration::from_secs(60);
/// Talk before the first fault, so that there is something to compare with.
const QUIET: Duration = Duration::from_secs(3);

/// A folder that is kept or not.
pub(crate) enum Folder {
    Named(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    pub(crate) fn new(named: Option<&Path>) -> anyhow::Result<Self> {
        match named {
            Some(path) => {
                std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
                Ok(Self::Named(path.canonicalize()?))
            }
            None => Ok(Self::Temporary(
                tempfile::Builder::new().prefix("hubbub-faults-").tempdir()?,
            )),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// Removes a temporary one unless it is to be kept; where it is, if it is there.
    pub(crate) fn leave(self, keep: bool) -> Option<PathBuf> {
        match self {
            Self::Named(path) => Some(path),
            Self::Temporary(folder) if keep => Some(folder.keep()),
            Self::Temporary(_) => None,
        }
    }
}

struct Running<'a> {
    args: &'a ChaosArgs,
    stage: &'a Stage,
    crowd: &'a Crowd,
    clock: Clock,
    begun: Instant,
    windows: Vec<Window>,
    verdict: Verdict,
}

pub(super) async fn run(args: &ChaosArgs) -> anyhow::Result<ChaosReport> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let folder = Folder::new(args.out.as_deref())?;
    say(&format!(
        "chaos with seed {seed}; journals and logs are in {}",
        folder.path().display()
    ));
    let stage = Box::pin(Stage::start(folder.path(), stage_options(args, seed))).await?;
    let report = Box::pin(on_stage(args, seed, &stage, folder.path())).await?;
    let json = serde_json::to_string_pretty(&report)?;
    std::fs::write(folder.path().join("report.json"), json)?;
    std::fs::write(folder.path().join("report.txt"), report.to_string())?;
    say(&report.to_string());
    drop(stage);
    if let Some(kept) = folder.leave(args.keep || !report.verdict.passed()) {
        say(&format!("kept in {}; repeat with --seed {seed}", kept.display()));
    }
    Ok(report)
}

fn stage_options(args: &ChaosArgs, seed: u64) -> StageOptions {
    StageOptions {
        nodes: args.nodes.try_into().unwrap_or(1),
        program: args.node.clone(),
        settings: vec![("drain.seconds".to_owned(), args.drain_seconds.to_string())],
        seed,
    }
}

async fn on_stage(args: &ChaosArgs, seed: u64, stage: &Stage, folder: &Path) -> anyhow::Result<ChaosReport> {
    let journal = Journal::create(folder, "clients")?;
    let witness = Witness::start(stage.database(), Journal::create(folder, "witness")?)?;
    let options = CrowdOptions {
        clients: args.clients,
        rooms: args.rooms.unwrap_or(args.clients.div_ceil(20)),
        seed,
        ..CrowdOptions::default()
    };
    let crowd = Arc::new(Crowd::gather(&stage.targets(), &journal, &options, GATHER_WITHIN).await?);
    say(&format!(
        "{} clients are in {} rooms",
        options.clients, options.rooms
    ));
    let talk = crowd.talk(Topic {
        rate: args.rate,
        mixed: true,
        text_bytes: 180,
    });
    let mut running = Running {
        args,
        stage,
        crowd: &crowd,
        clock: journal.clock(),
        begun: Instant::now(),
        windows: Vec::new(),
        verdict: Verdict::default(),
    };
    Box::pin(running.faults(seed)).await;
    talk.stop().await;
    let seconds = running.begun.elapsed().as_secs_f64();
    let (windows, mut verdict) = (running.windows, running.verdict);
    if let Err(lacking) = crowd.settle(&witness, SETTLE_WITHIN).await {
        verdict.troubles.push(lacking);
    }
    let crowd = Arc::into_inner(crowd).context("somebody still talks")?;
    let unfinished = crowd.finish().await;
    if unfinished > 0 {
        verdict.troubles.push(format!("{unfinished} clients did not end"));
    }
    witness.stop().await?;
    journal.close()?;
    std::fs::write(folder.join(FAULTS_FILE), serde_json::to_string_pretty(&windows)?)?;
    let check = checked(stage, folder).await?;
    verdict.violations = check.findings.total();
    let mut faults = BTreeMap::new();
    for window in &windows {
        *faults.entry(window.name.clone()).or_default() += 1;
    }
    Ok(ChaosReport {
        seed,
        nodes: args.nodes,
        clients: args.clients,
        rooms: options.rooms,
        seconds,
        faults,
        windows,
        bus: bus_counts(stage),
        check,
        verdict,
    })
}

/// What the checker says to the journals in `folder` and what the stage's store holds.
pub(crate) async fn checked(stage: &Stage, folder: &Path) -> anyhow::Result<check::Report> {
    let ledger = Box::pin(Ledger::read(stage.database())).await?;
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || check::folder(&folder, Some(&ledger), &Settings::default())).await?
}

impl Running<'_> {
    /// One round after the other until the time is over; then all is healed.
    async fn faults(&mut self, seed: u64) {
        let nodes = self.args.nodes.try_into().unwrap_or(1);
        let mut schedule = Schedule::new(seed, nodes, self.args.pace());
        let until = self.begun + Duration::from_secs_f64(self.args.minutes.max(0.0) * 60.0);
        sleep(QUIET).await;
        while Instant::now() < until {
            let round = schedule.round();
            Box::pin(self.round(&round)).await;
            let fallen = self.stage.fallen().await;
            if !fallen.is_empty() {
                // It would count as a fault that nobody injected: the run says so and ends.
                self.verdict.troubles.extend(fallen);
                break;
            }
        }
        if let Err(error) = all_ready(&self.stage.places()).await {
            self.verdict.troubles.push(format!("{error:#}"));
        }
    }

    async fn round(&mut self, round: &Round) {
        let (stage, crowd, clock) = (self.stage, self.crowd, self.clock);
        let drain = Duration::from_secs(self.args.drain_seconds);
        for fault in &round.faults {
            let (kind, target) = (fault.kind.as_str(), fault.target());
            let passed = self.begun.elapsed().as_secs_f64();
            say(&format!(
                "{passed:7.1} s  {kind:<16} {target:<10} for {:.1} s",
                fault.hold.as_secs_f64()
            ));
        }
        let all = round.faults.iter().map(|fault| async move {
            let from_us = clock.now_us();
            let result = Box::pin(fault.inject(stage, crowd, drain)).await;
            (fault, from_us, clock.now_us(), result)
        });
        let done = join_all(all).await;
        sleep(round.rest).await;
        let after_us = clock.now_us();
        for (fault, from_us, to_us, result) in done {
            if let Err(error) = result {
                say(&format!("           TROUBLE {error:#}"));
                self.verdict
                    .troubles
                    .push(format!("{}: {error:#}", fault.kind.as_str()));
            }
            self.windows.push(window(fault, from_us, to_us, after_us));
        }
    }
}

fn window(fault: &Fault, from_us: u64, to_us: u64, after_us: u64) -> Window {
    Window {
        name: fault.kind.as_str().to_owned(),
        target: fault.target(),
        from_us,
        to_us,
        after_us,
    }
}

fn bus_counts(stage: &Stage) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::from([("dropped", 0), ("doubled", 0), ("reordered", 0)]);
    for place in stage.places() {
        let counts = place.to_redis.bus_counts();
        for (what, count) in [
            ("dropped", counts.dropped),
            ("doubled", counts.duplicated),
            ("reordered", counts.reordered),
        ] {
            *sums.entry(what).or_default() += count;
        }
    }
    sums
}

/// Tells whoever looks on; that nobody does is no failure.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}
