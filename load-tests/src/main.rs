//! The `load-tests` command.

use std::process::ExitCode;

use clap::Parser;
use load_tests::cli::Cli;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    Cli::parse().run().await
}
