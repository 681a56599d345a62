//! The node's program.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::PlayArgs;
use crate::{chaos::say, stage::node_program};

/// The program to start: the one that was named; where cargo runs this, the one that it builds; else one that is there.
pub(super) async fn find(args: &PlayArgs) -> anyhow::Result<PathBuf> {
    if let Some(program) = &args.node {
        return Ok(program.clone());
    }
    // `cargo run -p load-tests` builds this program alone. Tests, which are other programs, have built the node.
    let this = std::env::current_exe()?;
    if let (Some("load-tests"), Some(cargo), Some(folder), None) = (
        this.file_stem().and_then(|name| name.to_str()),
        std::env::var_os("CARGO"),
        std::env::var_os("CARGO_MANIFEST_DIR"),
        std::env::var_os("HUBBUB_TEST_NODE"),
    ) {
        build(Path::new(&cargo), Path::new(&folder)).await?;
    }
    node_program()
}

async fn build(cargo: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "-p", "node"])
        .current_dir(folder);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    say("Building the node first, if it has to be …");
    let status = command
        .stdin(Stdio::null())
        .status()
        .await
        .context("cargo cannot be run")?;
    ensure!(
        status.success(),
        "the node cannot be built: name a program with --node, or a running one with --target"
    );
    Ok(())
}
