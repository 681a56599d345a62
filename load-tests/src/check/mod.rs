//! Holds what clients wrote down against the store and against the promises.
//!
//! The journals are read twice: first to learn who sent what and by when it was committed, then to judge every view. Of the
//! store the documented table `events` is read, and the heads of its rooms.

mod ending;
mod facts;
mod judge;
pub mod ledger;
mod report;
#[cfg(test)]
mod tests;
mod view;
mod violation;
mod waits;

use std::{
    collections::HashMap,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, ensure};

pub use facts::Counts;
pub use ledger::Ledger;
pub use report::Report;
pub use violation::{Findings, Kind, Violation};
pub use waits::{Distribution, Longest, Phase, Wait, WaitsOf, Window};

use crate::journal::{Entries, Entry, files};

/// The file beside the journals that names what was done to the cluster, and when: a JSON list of [`Window`].
pub const FAULTS_FILE: &str = "faults.json";

/// Checks the journals of a run; fails when a promise was broken.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// Folder with the journals (`*.journal`), and `faults.json` if faults were injected.
    pub folder: PathBuf,
    /// The store that the clients' nodes wrote to, `postgres://…` or `sqlite://…`; it is only read. Without it the views
    /// are held against one another alone.
    #[arg(long)]
    pub store: Option<String>,
    /// How far the clocks of store and clients may differ, in milliseconds.
    #[arg(long, default_value_t = 50)]
    pub clock_tolerance_ms: u64,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Print the entries of the journals instead, a line of JSON each.
    #[arg(long)]
    pub dump: bool,
}

/// How to judge.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How far the clocks of store and clients may differ, in microseconds.
    pub clock_tolerance_us: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clock_tolerance_us: 50_000,
        }
    }
}

/// Runs the command: prints a report; the exit code is 1 when a promise was broken.
///
/// # Errors
/// When a journal or the store cannot be read.
pub async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    if args.dump {
        return dump(&args.folder);
    }
    let ledger = match &args.store {
        Some(url) => Some(Box::pin(Ledger::read(url)).await?),
        None => None,
    };
    let settings = Settings {
        clock_tolerance_us: args.clock_tolerance_ms.saturating_mul(1000),
    };
    let report = folder(&args.folder, ledger.as_ref(), &settings)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(ExitCode::from(u8::from(!report.is_clean())))
}

/// Checks all journals of a folder, with the faults that are named there.
///
/// # Errors
/// When there is no journal, or one cannot be read.
pub fn folder(folder: &Path, ledger: Option<&Ledger>, settings: &Settings) -> anyhow::Result<Report> {
    let journals = files(folder)?;
    ensure!(
        !journals.is_empty(),
        "no journals (*.journal) in {}",
        folder.display()
    );
    let faults = folder.join(FAULTS_FILE);
    let windows = if faults.exists() {
        let text =
            std::fs::read_to_string(&faults).with_context(|| format!("cannot read {}", faults.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no list of faults", faults.display()))?
    } else {
        Vec::new()
    };
    let entries = || journals.iter().map(|path| Entries::open(path));
    check(
        || {
            entries().flat_map(|opened| -> Box<dyn Iterator<Item = anyhow::Result<Entry>>> {
                match opened {
                    Ok(entries) => Box::new(entries),
                    Err(error) => Box::new(std::iter::once(Err(error))),
                }
            })
        },
        ledger,
        windows,
        settings,
    )
}

/// Checks the entries that `read` gives, twice the same; those of one client in their order.
///
/// # Errors
/// The first one that `read` gives.
pub fn check<I: Iterator<Item = anyhow::Result<Entry>>>(
    read: impl Fn() -> I,
    ledger: Option<&Ledger>,
    windows: Vec<Window>,
    settings: &Settings,
) -> anyhow::Result<Report> {
    let mut findings = Findings::default();
    let mut facts = facts::Facts::default();
    for entry in read() {
        facts.note(&entry?);
    }
    facts.ready(ledger, &mut findings);
    if let Some(ledger) = ledger {
        ledger.check(&mut findings);
    }
    let mut waits = waits::Waits::new(windows);
    let mut judge = judge::Judge {
        facts: &mut facts,
        ledger,
        settings,
        findings: &mut findings,
        waits: &mut waits,
        views: HashMap::new(),
    };
    for entry in read() {
        judge.judge(&entry?);
    }
    judge.end();
    let (waits, longest) = waits.finish();
    Ok(Report {
        counts: facts.counts,
        with_store: ledger.is_some(),
        findings,
        waits,
        longest,
    })
}

fn dump(folder: &Path) -> anyhow::Result<ExitCode> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in files(folder)? {
        for entry in Entries::open(&path)? {
            serde_json::to_writer(&mut out, &entry?)?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
