//! `smoke`: many clients talk at once, on one or several nodes, and every promise about order and acknowledgement is
//! checked on every one of them.

mod fleet;
mod member;
mod report;
mod script;
#[cfg(test)]
mod tests;

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use protocol::Codec;

pub use report::{Latency, Report};
use script::Script;

/// Many clients talk at once; fails when one of them misses, repeats or reorders anything.
#[derive(Debug, Clone, clap::Args)]
pub struct SmokeArgs {
    /// Where to connect, like ws://127.0.0.1:8080/ws; may be given several times, clients are spread over all.
    #[arg(long = "target", required = true)]
    pub targets: Vec<String>,
    /// How many clients.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// How many messages, sent by all clients together.
    #[arg(long, default_value_t = 1000)]
    pub messages: u32,
    /// How many rooms; each client is in one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub rooms: u32,
    /// Messages per second of all clients together.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// How frames are written.
    #[arg(long, value_enum, default_value_t = CodecChoice::Both)]
    pub codec: CodecChoice,
    /// How long connecting may take, and how long deliveries may take after the last message was due.
    #[arg(long, default_value_t = 30)]
    pub timeout_seconds: u64,
}

/// Which codecs the clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CodecChoice {
    /// All of them JSON.
    Json,
    /// All of them MessagePack.
    Msgpack,
    /// Half of the clients of each target and room JSON, half MessagePack.
    Both,
}

impl CodecChoice {
    fn codecs(self) -> &'static [Codec] {
        match self {
            Self::Json => &[Codec::Json],
            Self::Msgpack => &[Codec::Msgpack],
            Self::Both => &Codec::ALL,
        }
    }
}

/// Runs the test and prints its report on standard output. The exit code is not zero when anything was wrong.
///
/// # Errors
/// When the clients cannot connect or join, so that nothing was tested.
pub async fn run(args: SmokeArgs) -> anyhow::Result<ExitCode> {
    let report = smoke(&args).await?;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the test.
///
/// # Errors
/// When the clients cannot connect or join, so that nothing was tested. What goes wrong after that is in the report.
pub async fn smoke(args: &SmokeArgs) -> anyhow::Result<Report> {
    let script = Arc::new(Script::new(args));
    let members = fleet::assemble(args, &script).await?;
    let (start, members) = fleet::perform(members, &script).await;
    Report::new(&script, start, members)
}

impl SmokeArgs {
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}
