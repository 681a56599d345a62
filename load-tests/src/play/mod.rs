//! `run`, and what this program does without a command: plays a scenario and reports what came of it.

mod args;
mod conduct;
mod entrance;
mod journals;
mod judge;
mod nodes;
mod program;
mod settle;

use std::{io::Write as _, path::Path, process::ExitCode};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::{
    chaos::say,
    fleet::{CONNECTIONS_OF_A_PROCESS, Fleet, FleetOptions},
    report::{self, Report, Run},
    scenario::{Fit, Scenario},
    signals::cancelled_in_turn,
    view::View,
};
pub use args::PlayArgs;
use conduct::{Conductor, KEPT_OUT};
use journals::Journals;
use nodes::Nodes;

/// What is played when nothing is asked for.
pub const DEFAULT_SCENARIO: &str = "mixed";

/// Runs the command; the exit code is 1 when something did not hold that has to.
///
/// # Errors
/// When something kept it from being done, in words for the person who asked.
pub async fn run(scenario: &str, args: PlayArgs) -> anyhow::Result<ExitCode> {
    let scenario = Scenario::find(scenario)?.fitted(args.fit());
    let folder = args.folder(&scenario.name);
    say(&introduction(&scenario, &args));
    let [stop, abort] = cancelled_in_turn()?;
    let report = tokio::select! {
        report = Box::pin(play(scenario, &args, stop)) => report?,
        // Whatever was started ends as it is dropped.
        () = abort.cancelled() => return Ok(ExitCode::from(130)),
    };
    say(&ending(&report, &folder)?);
    if !report.passed() {
        for mark in report.marks.iter().filter(|mark| mark.kind == KEPT_OUT) {
            let _ = writeln!(std::io::stderr(), "error: {}", mark.text);
        }
    }
    Ok(ExitCode::from(u8::from(!report.passed())))
}

/// Plays a scenario; `stop` ends it before its time, in good order.
///
/// # Errors
/// When nodes or clients cannot be started. What goes wrong behind that is in the report.
pub async fn play(scenario: Scenario, args: &PlayArgs, stop: CancellationToken) -> anyhow::Result<Report> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let nodes = if args.targets.is_empty() {
        let started = stop.run_until_cancelled(Box::pin(Nodes::start(args))).await;
        Some(started.context("stopped before anything was played")??)
    } else {
        None
    };
    let targets = match &nodes {
        Some(nodes) => nodes.targets(),
        None => args.targets.clone(),
    };
    let journals = Journals::wanted(args, &scenario)?;
    let processes = processes(args, &scenario);
    let options = FleetOptions {
        targets: targets.clone(),
        processes,
        program: args.program.clone(),
        tokens: args.tokens.clone(),
        authorities: args.authorities.clone(),
        journal: journals.as_ref().map(|journals| journals.folder().to_owned()),
        // On a deployment the rooms of one run are not those of another.
        prefix: format!("load-{seed}"),
        seed,
        scenario: scenario.clone(),
    };
    let tried = stop
        .run_until_cancelled(Box::pin(entrance::try_each(&options)))
        .await;
    tried.context("stopped before anything was played")??;
    let fleet = Fleet::start(&options)
        .await
        .context("clients cannot be started")?;
    let run = Run {
        name: scenario.name.clone(),
        description: scenario.description.clone(),
        targets,
        settings: args.settings(&scenario, seed, processes, journals.is_some())?,
        ..Run::default()
    };
    let view = if args.plain { View::plain() } else { View::start() };
    let conductor = Conductor::new(scenario, fleet, nodes, run, view, stop);
    Box::pin(conductor.play(journals, args)).await
}

/// Processes of players that are started without being asked for.
const MOST_PROCESSES: u32 = 64;

/// Processes of players: as many as are asked for, else as few as do, within what one machine can be asked for.
fn processes(args: &PlayArgs, scenario: &Scenario) -> u32 {
    let most = scenario.peak_connections();
    args.processes.unwrap_or(if most > CONNECTIONS_OF_A_PROCESS {
        most.div_ceil(CONNECTIONS_OF_A_PROCESS).min(MOST_PROCESSES)
    } else {
        0
    })
}

fn introduction(scenario: &Scenario, args: &PlayArgs) -> String {
    let place = match (&args.targets[..], args.nodes) {
        ([], 1) if !args.postgres => "a node of its own, with SQLite in a temporary folder".to_owned(),
        ([], nodes) => format!("{nodes} node(s) of its own, with a private Postgres and Redis"),
        (targets, _) => targets.join(", "),
    };
    format!(
        "Hubbub's load harness plays `{}` against {place}.\n{}\n{} connections at most, {} rooms, about {:.0} s. Ctrl-C ends it \
         early, with a report. More: --help\n",
        scenario.name,
        scenario.description,
        scenario.most_connections(),
        scenario.room_count(),
        scenario.seconds(),
    )
}

/// Writes the report; what is said of it.
fn ending(report: &Report, folder: &Path) -> anyhow::Result<String> {
    let written = report::write(report, folder)?;
    Ok(format!(
        "\n{}\nReport: {} (for a browser), {} (everything), {} (for CI)",
        report::plain(report).trim_end(),
        written.html.display(),
        written.json.display(),
        written.junit.display()
    ))
}

impl PlayArgs {
    fn fit(&self) -> Fit {
        Fit {
            connections: self.connections,
            messages_per_second: self.messages_per_second,
            seconds: self.seconds,
        }
    }
}
