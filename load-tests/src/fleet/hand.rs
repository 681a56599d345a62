//! The parent's side of one player.

use std::{path::Path, time::Duration};

use anyhow::bail;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::timeout,
};

use super::{
    ANSWER_WITHIN,
    process::Process,
    wire::{Answer, Order},
    work::work,
};
use crate::player::Setup;

/// Orders that may wait for a player.
const WAITING: usize = 16;

/// One player. It ends when this is dropped.
pub(super) struct Hand {
    name: String,
    orders: Sender<Order>,
    answers: Receiver<Answer>,
    process: Option<Process>,
    /// Why it is of no use any more.
    trouble: Option<String>,
}

impl Hand {
    /// In this process.
    pub(super) fn here(name: String) -> Self {
        let (orders, taken) = channel(WAITING);
        let (given, answers) = channel(WAITING);
        tokio::spawn(work(taken, given));
        Self {
            name,
            orders,
            answers,
            process: None,
            trouble: None,
        }
    }

    /// In one of its own.
    pub(super) fn process(name: String, program: Option<&Path>) -> anyhow::Result<Self> {
        let (orders, taken) = channel(WAITING);
        let (given, answers) = channel(WAITING);
        let process = Process::start(program, taken, given)?;
        Ok(Self {
            name,
            orders,
            answers,
            process: Some(process),
            trouble: None,
        })
    }

    pub(super) async fn begin(&mut self, setup: Setup) -> anyhow::Result<()> {
        self.ask(&Order::Begin(Box::new(setup)), ANSWER_WITHIN).await;
        match self.trouble() {
            Some(trouble) => bail!(trouble),
            None => Ok(()),
        }
    }

    pub(super) async fn tell(&mut self, order: &Order) {
        if self.trouble.is_none() && self.orders.send(order.clone()).await.is_err() {
            self.lost().await;
        }
    }

    /// Its name and answer; `None` if it is of no use any more.
    pub(super) async fn ask(&mut self, order: &Order, within: Duration) -> Option<(String, Answer)> {
        self.tell(order).await;
        if self.trouble.is_some() {
            return None;
        }
        match timeout(within, self.answers.recv()).await {
            Ok(Some(Answer::Failed(why))) => self.trouble = Some(why),
            Ok(Some(answer)) => return Some((self.name.clone(), answer)),
            Ok(None) => self.lost().await,
            Err(_) => self.trouble = Some(format!("did not answer within {within:?}")),
        }
        None
    }

    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.as_ref()?;
        Some(format!("{}: {trouble}", self.name))
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::pid)
    }

    async fn lost(&mut self) {
        self.trouble = Some(match &mut self.process {
            Some(process) => process.how_it_ended().await,
            None => "ended".to_owned(),
        });
    }
}
