//! The `load-tests` command.
#![allow(clippy::print_stderr, reason = "it is a command")]

use std::process::ExitCode;

use clap::Parser;
use load_tests::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await.unwrap_or_else(|error| {
        // Together with its causes, and without a stack: it is for who asked for something.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
