//! A player in a process of its own.

use std::{
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    process::{Child, Command},
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};
use tokio_util::codec::{FramedRead, FramedWrite};

use super::{
    wire::{Answer, Order, framing},
    work::work,
};

/// The hidden command of this program that [`worker`] is.
pub const COMMAND: &str = "worker";

/// The process. It is killed when this is dropped.
pub(super) struct Process {
    child: Child,
}

impl Process {
    pub(super) fn start(
        program: Option<&Path>,
        orders: Receiver<Order>,
        answers: Sender<Answer>,
    ) -> anyhow::Result<Self> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => std::env::current_exe().context("the path of this program")?,
        };
        let mut command = Command::new(program);
        command.arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A Ctrl-C in a terminal is for the parent; it lets the players end in good order.
        command.process_group(0).kill_on_drop(true);
        let mut child = command
            .spawn()
            .context("a process for clients cannot be started")?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.context("a process without pipes")?;
        tokio::spawn(write_all(orders, input));
        tokio::spawn(read_all(output, answers));
        Ok(Self { child })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) async fn how_it_ended(&mut self) -> String {
        match timeout(Duration::from_secs(1), self.child.wait()).await {
            Ok(Ok(status)) => format!("its process ended by itself: {status}"),
            _ => "its process does not listen any more".to_owned(),
        }
    }
}

/// What such a process does: it plays until its standard input ends, as it does with its parent.
///
/// # Errors
/// Never; what goes wrong is answered.
pub async fn worker() -> anyhow::Result<ExitCode> {
    let (told, orders) = channel(1);
    let (answers, given) = channel(1);
    tokio::spawn(read_all(tokio::io::stdin(), told));
    let writing = tokio::spawn(write_all(given, tokio::io::stdout()));
    work(orders, answers).await;
    writing.await?;
    Ok(ExitCode::SUCCESS)
}

async fn write_all<T: Serialize>(mut values: Receiver<T>, pipe: impl AsyncWrite + Unpin) {
    let mut pipe = FramedWrite::new(pipe, framing());
    while let Some(value) = values.recv().await {
        let Ok(bytes) = rmp_serde::to_vec_named(&value) else {
            return;
        };
        if pipe.send(Bytes::from(bytes)).await.is_err() {
            return;
        }
    }
}

async fn read_all<T: DeserializeOwned>(pipe: impl AsyncRead + Unpin, values: Sender<T>) {
    let mut pipe = FramedRead::new(pipe, framing());
    while let Some(Ok(bytes)) = pipe.next().await {
        let Ok(value) = rmp_serde::from_slice(&bytes) else {
            return;
        };
        if values.send(value).await.is_err() {
            return;
        }
    }
}
