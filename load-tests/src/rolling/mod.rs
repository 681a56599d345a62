//! `rolling`: every node behind a load balancer is replaced, one after the other, while people talk and somebody looks all
//! the time whether the service is there. Nobody may notice.

mod people;
pub(crate) mod probes;
mod report;

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    check::{self, Ledger},
    group::{Group, GroupSettings},
    lab::{Postgres, PostgresOptions, Redis},
    signals::unless_interrupted,
};
use people::{Crowd, People};
use probes::Probes;

pub use probes::Probed;
pub use report::Report;

/// Before and behind the update people talk for so long.
const QUIET: Duration = Duration::from_secs(1);
/// From one machine that is replaced without care to the next: what it takes until the new one runs, long before its node
/// does.
const CARELESS_PAUSE: Duration = Duration::from_millis(500);
/// People on the node with the most, over the mean, that count as even.
const EVEN: f64 = 1.25;

/// Replaces every node of a small cluster under load; fails when anybody notices.
#[derive(Debug, Clone, clap::Args)]
pub struct RollingArgs {
    /// CloudFormation template to take the numbers of the load balancer from, such as infra/cloudformation/service.yaml, with
    /// the scripts of its machines in ../instance beside it; by default those files as they were when this was built.
    #[arg(long)]
    pub template: Option<PathBuf>,
    /// How many nodes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub nodes: u32,
    /// How many people, each with a connection.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub people: u32,
    /// How many rooms; each person is in one.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    pub rooms: u32,
    /// Messages of all people together.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub messages_per_second: u32,
    /// How many times as fast as in the stack health checks, drain, deregistration and boot are.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=30))]
    pub time_scale: u32,
    /// How long the people may take to be even on the nodes behind the update, in seconds.
    #[arg(long, default_value_t = 20)]
    pub even_within_seconds: u64,
    /// From when a node is taken out of the load balancer to when it is told to leave, in seconds of the stack; by default as
    /// the stack does it. With 0 newcomers are turned away: the load balancer sends them there for some seconds more.
    #[arg(long)]
    pub pause_seconds: Option<u64>,
    /// How long the load balancer goes on sending new connections to a node that was taken out, in seconds of the stack.
    #[arg(long)]
    pub lag_seconds: Option<u64>,
    /// As such stacks usually do it: machines end without a word, and a new one counts when it runs, not when its node serves.
    #[arg(long)]
    pub careless: bool,
    /// Decides all that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command with private servers of its own and prints its report; the exit code is 1 when anybody noticed.
///
/// # Errors
/// When something kept it from being done, or it is interrupted.
pub async fn run(args: RollingArgs) -> anyhow::Result<ExitCode> {
    let report = Box::pin(unless_interrupted(rolling(&args))).await?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(ExitCode::from(u8::from(!report.passed())))
}

/// Does it.
///
/// # Errors
/// When something kept it from being done. What people noticed is in the report.
pub async fn rolling(args: &RollingArgs) -> anyhow::Result<Report> {
    let folder = tempfile::Builder::new().prefix("hubbub-rolling-").tempdir()?;
    let postgres = Postgres::start_with(PostgresOptions::default()).await?;
    let redis = Redis::start()?;
    let settings = GroupSettings::read(args.template.as_deref())?;
    let given = |seconds: Option<u64>, default| seconds.map_or(default, Duration::from_secs);
    let settings = GroupSettings {
        min: args.nodes,
        pause_before_drain: given(args.pause_seconds, settings.pause_before_drain),
        deregistration_lag: given(args.lag_seconds, settings.deregistration_lag),
        ..settings
    };
    let settings = settings.scaled(args.time_scale);
    let node_settings = [
        ("store.url", postgres.url()),
        ("bus.url", redis.url()),
        ("auth.guests", "true".into()),
        ("rooms.create_on_join", "true".into()),
    ];
    let node_settings = node_settings.map(|(key, value)| (key.to_owned(), value));
    let group = Group::start(settings, node_settings.to_vec()).await?;
    let crowd = Crowd {
        people: args.people,
        rooms: args.rooms,
        messages_per_second: args.messages_per_second,
        seed: args.seed,
    };
    let people = People::start(&crowd, group.address(), folder.path()).await?;
    let probes = Probes::start(group.address());
    sleep(QUIET).await;

    let begun = Instant::now();
    let ended_in_order = if args.careless {
        carelessly(&group).await?
    } else {
        carefully(&group).await?
    };
    let update_seconds = begun.elapsed().as_secs_f64();
    let people_then = people.by_node();
    let even_after_seconds = even(&people, args).await;
    sleep(QUIET).await;

    let people_at_last = people.by_node();
    let probed = probes.stop().await.summed_up();
    let (messages, unanswered) = people.finish().await?;
    let ledger = Box::pin(Ledger::read(&postgres.url())).await?;
    Ok(Report {
        careful: !args.careless,
        replaced: args.nodes as usize,
        ended_in_order,
        update_seconds,
        probed,
        messages,
        unanswered,
        checked: check::folder(folder.path(), Some(&ledger), &check::Settings::default())?,
        people_then,
        people_at_last,
        even_after_seconds,
    })
}

/// One batch after the other: taken out, drained, ended; then as many new ones, until each says that it is in service.
async fn carefully(group: &Group) -> anyhow::Result<usize> {
    let mut in_order = 0;
    for batch in group.names().chunks(group.settings().batch.max(1) as usize) {
        in_order += group.replace(batch).await?;
    }
    Ok(in_order)
}

/// One after the other as well, but without a word to anybody.
async fn carelessly(group: &Group) -> anyhow::Result<usize> {
    for old in group.names() {
        group.destroy(&old).await?;
        group.launch();
        sleep(CARELESS_PAUSE).await;
    }
    for new in group.names() {
        group.in_service(&new).await?;
    }
    Ok(0)
}

/// How long it takes until no node carries much more than the others; `None` if it does not happen in time.
async fn even(people: &People, args: &RollingArgs) -> Option<f64> {
    let begun = Instant::now();
    let patience = Duration::from_secs(args.even_within_seconds);
    let mean = f64::from(args.people) / f64::from(args.nodes);
    loop {
        let by_node = people.by_node();
        let most = by_node.values().max().copied().unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "people are few")]
        let is_even = by_node.len() == args.nodes as usize && most as f64 <= (mean * EVEN).ceil();
        if is_even {
            return Some(begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > patience {
            return None;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
