//! `autoscale`: loads any deployment until it grows, takes the load away until it shrinks, and holds it to what it promises
//! on the way.

#[cfg(feature = "aws")]
mod aws;
mod cluster;
mod play;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use crate::{
    chaos::{Folder, say},
    rehearse::{ending, number},
    report::Report,
    signals::unless_interrupted,
};

/// Loads a deployment until it has more nodes, takes the load away until it has fewer, and checks that nobody loses
/// anything, everybody is served in time, and new nodes take their share. Exit code 1 when something did not hold.
///
/// Against AWS with the numbers of infra/cloudformation it takes about an hour: alarms need 3 minutes to go on, instances
/// some minutes to start, and 15 minutes of little load pass before the group shrinks, each time.
///
///   HUBBUB_TOKEN=… load-tests autoscale --target wss://chat.example.org/ws --connections 12000 --rate 300 --tokens people
///
/// What it takes: an administrator's token, as only the deployment itself knows how many nodes it has. A credential for each
/// hundred clients (--tokens), or guests (auth.guests, off by default with Postgres). Rooms that are made by joining them
/// (rooms.create_on_join, off by default with Postgres, or created before: autoscale-SEED-0 and so on). And no limit of
/// connections from one address below --connections (limits.connections_per_address; WAF).
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct AutoscaleArgs {
    /// Where clients connect: `wss://HOST/ws` or `ws://HOST:PORT/ws`; may be given several times.
    #[arg(long, required = true)]
    pub target: Vec<String>,
    /// PEM file of authorities to trust beside the known ones, for wss:// targets with a certificate of your own.
    #[arg(long = "ca", value_name = "FILE")]
    pub authorities: Option<PathBuf>,
    /// Where `/api/v1/cluster` is asked for, `https://HOST`; by default the first target's.
    #[arg(long)]
    pub cluster_url: Option<String>,
    /// An administrator's token, with which the list of nodes is read: a node without any of the clients is seen no other way.
    #[arg(long, env = "HUBBUB_TOKEN", hide_env_values = true)]
    pub token: String,
    /// File with a credential on each line (session tokens, API keys, JWTs), which clients use in turn, where guests are not
    /// let in.
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Connections at the top: 20 or more for each node that there is then.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(2..=19_000))]
    pub connections: u32,
    /// Connections before and behind it: 20 or more for each node that there is then; by default a tenth.
    #[arg(long)]
    pub rest_connections: Option<u32>,
    /// Messages of all clients together in a second at the top; before and behind it a tenth.
    #[arg(long, default_value_t = 50.0, value_parser = number)]
    pub rate: f64,
    /// How many rooms the clients are in; each is in one, every third in another one too.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rooms: u32,
    /// How long the way to the top takes, in seconds. It ends early when the deployment has grown.
    #[arg(long, default_value_t = 120.0, value_parser = number)]
    pub ramp_seconds: f64,
    /// How long the deployment may take to have another node once the load is there, in seconds.
    #[arg(long, default_value_t = 900.0, value_parser = number)]
    pub scale_out_within_seconds: f64,
    /// How long new nodes may take to have their share of the clients, in seconds.
    #[arg(long, default_value_t = 300.0, value_parser = number)]
    pub share_within_seconds: f64,
    /// How long the deployment may take to be as small as before once the load is gone, in seconds; with 0 that is not
    /// waited for.
    #[arg(long, default_value_t = 3_600.0, value_parser = number)]
    pub scale_in_within_seconds: f64,
    /// From when a message was due to its answer, and to when a client was shown it: 99 of 100 within so many milliseconds.
    #[arg(long, default_value_t = 500.0, value_parser = number)]
    pub p99_ms: f64,
    /// Decides all that is left to chance, and the names of the rooms; by default a new one, so that runs do not meet.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Folder for the report; by default `load-report/autoscale-DATE-TIME`.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Keep the journals of the clients, which are else removed unless something was wrong.
    #[arg(long)]
    pub keep: bool,
    /// The auto-scaling group of the deployment, whose activities and alarms are read with the credentials of the
    /// environment; its region is that of the environment.
    #[cfg(feature = "aws")]
    #[arg(long)]
    pub group: Option<String>,
}

/// Runs the command; the exit code is 1 when something did not hold.
///
/// # Errors
/// When the deployment cannot be reached at all, fewer clients are asked for than say anything, the report cannot be written, or it is interrupted.
pub async fn run(args: AutoscaleArgs) -> anyhow::Result<ExitCode> {
    let report = Box::pin(unless_interrupted(autoscale(&args))).await?;
    Ok(ExitCode::from(u8::from(!report.passed())))
}

/// Does it, with what happens on standard output, and writes the report.
///
/// # Errors
/// As [`run`]. What did not hold is in the report.
pub async fn autoscale(args: &AutoscaleArgs) -> anyhow::Result<Report> {
    let folder = Folder::new(None)?;
    let report = Box::pin(play::play(args, folder.path())).await?;
    ending(&report, args.out.as_deref(), None)?;
    if let Some(kept) = folder.leave(args.keep || !report.passed()) {
        say(&format!("Journals are kept in {}", kept.display()));
    }
    Ok(report)
}

impl AutoscaleArgs {
    fn rest(&self) -> u32 {
        let rest = self.rest_connections.unwrap_or(self.connections / 10);
        rest.clamp(1, self.connections)
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
