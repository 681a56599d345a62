//! A command with private servers around it.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use super::{Postgres, Redis};

/// Starts private servers, runs `command` with their addresses in the environment, removes the servers and returns
/// the command's exit code (128 + n if signal n ended it). Ctrl-C and SIGTERM end the command first; a second one
/// kills it.
///
/// # Errors
/// When a server or the command cannot be started.
pub async fn run(command: &[OsString]) -> anyhow::Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else {
        bail!("which command?")
    };
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;

    let postgres = Postgres::start().await?;
    let redis = Redis::start()?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("HUBBUB_TEST_POSTGRES_URL", postgres.url())
        .env("HUBBUB_TEST_REDIS_URL", redis.url())
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;

    let mut asked = false;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(exit_code(status?)),
            _ = interrupted.recv() => end(&child, &mut asked)?,
            _ = terminated.recv() => end(&child, &mut asked)?,
        }
    }
}

/// Asks the command to end, or kills it if it was asked before.
fn end(child: &Child, asked: &mut bool) -> anyhow::Result<()> {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        kill_process(pid, if *asked { Signal::KILL } else { Signal::TERM })?;
    }
    *asked = true;
    Ok(())
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|n| 128 + n))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
