//! One machine of a group, from its launch to its end.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::GroupSettings;
use crate::{
    lab::{HaProxy, Health},
    stage::{Node, http},
};

/// How long a node may take to be in service, beside its boot and the load balancer's checks.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether something has come so far.
const LOOK: Duration = Duration::from_millis(20);

/// How a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// It boots, its node starts, the load balancer has not found it healthy yet.
    Pending,
    /// It serves.
    InService(Instant),
    /// It has not come so far; why.
    Failed(String),
    /// It was taken out, and its node is told to leave.
    Leaving,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) zone: u32,
    pub(super) launched: Instant,
    stage: watch::Sender<Lifecycle>,
    node: tokio::sync::Mutex<Option<Node>>,
    process: OnceLock<Process>,
    booting: Mutex<Option<AbortHandle>>,
    killed: AtomicBool,
}

/// Where a running node is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its process.
    pub id: u32,
    /// Where its metrics are.
    pub private: SocketAddr,
}

impl Machine {
    pub(super) fn new(name: &str, zone: u32) -> Self {
        Self {
            name: name.to_owned(),
            zone,
            launched: Instant::now(),
            stage: watch::Sender::new(Lifecycle::Pending),
            node: tokio::sync::Mutex::default(),
            process: OnceLock::new(),
            booting: Mutex::default(),
            killed: AtomicBool::new(false),
        }
    }

    pub(super) fn stage(&self) -> Lifecycle {
        self.stage.borrow().clone()
    }

    pub(super) fn process(&self) -> Option<Process> {
        self.process.get().copied()
    }

    /// Whether it was ended without a word.
    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Whether its node ended although nobody wanted it to, or was killed.
    pub(super) async fn is_gone(&self) -> bool {
        self.is_killed()
            || match &mut *self.node.lock().await {
                Some(node) => node.fallen().is_some(),
                None => false,
            }
    }

    /// Boots it beside; `done` hears how it went, unless it was taken out meanwhile.
    pub(super) fn boot(
        self: &Arc<Self>,
        balancer: Arc<HaProxy>,
        settings: GroupSettings,
        node: anyhow::Result<Node>,
        done: impl FnOnce(&Self, &Lifecycle) + Send + 'static,
    ) {
        let machine = Arc::clone(self);
        let booting = tokio::spawn(async move {
            let stage = match machine.come_up(&balancer, &settings, node).await {
                Ok(()) => Lifecycle::InService(Instant::now()),
                Err(error) => Lifecycle::Failed(format!("{error:#}")),
            };
            if machine.stage() == Lifecycle::Pending {
                // Before whoever waits for it goes on.
                done(&machine, &stage);
            }
            machine.stage.send_if_modified(|now| {
                let still = *now == Lifecycle::Pending;
                if still {
                    *now = stage;
                }
                still
            });
        });
        *self.booting.lock() = Some(booting.abort_handle());
    }

    async fn come_up(
        &self,
        balancer: &HaProxy,
        settings: &GroupSettings,
        node: anyhow::Result<Node>,
    ) -> anyhow::Result<()> {
        sleep(settings.boot).await;
        let mut node = node?;
        node.start().await?;
        let (public, private) = (node.public(), node.private());
        let id = node.id().context("its node has ended")?;
        let _ = self.process.set(Process { id, private });
        *self.node.lock().await = Some(node);
        balancer.register(&self.name, public).await?;
        let checks = settings.check_interval * (settings.healthy_threshold + 1);
        let begun = Instant::now();
        while !http::is_ok(private, "/readyz").await
            || balancer.health(&self.name).await? != Some(Health::Healthy)
        {
            ensure!(!self.is_gone().await, "its node has ended");
            ensure!(
                begun.elapsed() < checks + PATIENCE,
                "it is not ready, or the load balancer has not found it healthy"
            );
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until it serves.
    pub(super) async fn in_service(&self) -> anyhow::Result<()> {
        let mut stage = self.stage.subscribe();
        let stage = stage
            .wait_for(|stage| *stage != Lifecycle::Pending)
            .await?
            .clone();
        match stage {
            Lifecycle::InService(_) => Ok(()),
            Lifecycle::Failed(why) => anyhow::bail!("{} does not come into service: {why}", self.name),
            _ => anyhow::bail!("{} was taken out", self.name),
        }
    }

    /// From here on it only leaves.
    pub(super) fn leave(&self) {
        self.stage.send_replace(Lifecycle::Leaving);
    }

    /// Tells its node to leave; whether it ended by itself, in good order and in time.
    pub(super) async fn drain(&self, patience: Duration) -> anyhow::Result<bool> {
        let mut node = self.node.lock().await;
        let Some(node) = node.as_mut() else {
            return Ok(false);
        };
        if node.fallen().is_some() {
            return Ok(false);
        }
        node.terminate()?;
        Ok(node.ended(patience).await.is_ok_and(|status| status.success()))
    }

    /// Ends it at once.
    pub(super) async fn kill(&self) -> anyhow::Result<()> {
        self.killed.store(true, Ordering::Relaxed);
        if let Some(booting) = self.booting.lock().take() {
            booting.abort();
        }
        match self.node.lock().await.take() {
            Some(mut node) => node.kill().await,
            None => Ok(()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(booting) = self.booting.get_mut().take() {
            booting.abort();
        }
    }
}

/// A node for a machine, not started yet.
pub(super) fn node(
    program: &Path,
    folder: &Path,
    name: &str,
    settings: &[(String, String)],
) -> anyhow::Result<Node> {
    let mut settings = settings.to_vec();
    settings.push(("node.name".into(), name.to_owned()));
    Node::new(program, &folder.join(format!("{name}.log")), settings)
}
