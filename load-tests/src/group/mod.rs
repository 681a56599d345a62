//! A group of nodes behind a load balancer, on one machine: an auto-scaling group with processes for its machines.

mod settings;
mod template;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    lab::{HaProxy, Health},
    stage::{Node, node_program},
};

pub use settings::GroupSettings;

/// How long a node may take to be in service, beside its boot and the load balancer's checks.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether something has come so far.
const LOOK: Duration = Duration::from_millis(20);

/// See the module's documentation. Dropping it ends all of it.
#[derive(Debug)]
pub struct Group {
    settings: GroupSettings,
    node_settings: Vec<(String, String)>,
    balancer: Arc<HaProxy>,
    instances: Vec<Instance>,
    launched: u32,
    program: PathBuf,
    /// For what nodes log.
    folder: TempDir,
}

#[derive(Debug)]
struct Instance {
    name: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Booting(JoinHandle<anyhow::Result<Node>>),
    Running(Box<Node>),
}

impl Group {
    /// Starts the load balancer and as many nodes as there are at rest, with these keys of the configuration; returns when
    /// all are in service.
    ///
    /// # Errors
    /// When the load balancer or a node does not come so far.
    pub async fn start(
        settings: GroupSettings,
        node_settings: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let balancer = Arc::new(HaProxy::start(settings.balancer()).await?);
        let drain = ("drain.seconds".to_owned(), settings.drain.as_secs().to_string());
        let proxies = ("http.trusted_proxies".to_owned(), "127.0.0.1".to_owned());
        let mut group = Self {
            node_settings: node_settings
                .into_iter()
                .chain([drain, proxies])
                .collect::<Vec<_>>(),
            balancer,
            instances: Vec::new(),
            launched: 0,
            program: node_program()?,
            folder: tempfile::Builder::new().prefix("hubbub-group-").tempdir()?,
            settings,
        };
        for _ in 0..group.settings.min {
            group.launch();
        }
        for name in group.names() {
            group.in_service(&name).await?;
        }
        Ok(group)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.balancer.address()
    }

    /// The load balancer.
    pub fn balancer(&self) -> &HaProxy {
        &self.balancer
    }

    /// The names of all instances, the oldest first.
    pub fn names(&self) -> Vec<String> {
        self.instances
            .iter()
            .map(|instance| instance.name.clone())
            .collect()
    }

    /// Runs another machine and returns at once: its node starts and becomes a target while one does something else.
    pub fn launch(&mut self) -> String {
        self.launched += 1;
        let name = format!("i-{}", self.launched);
        let (boot, balancer) = (self.settings.boot, Arc::clone(&self.balancer));
        let mut settings = self.node_settings.clone();
        settings.push(("node.name".into(), name.clone()));
        let (called, program) = (name.clone(), self.program.clone());
        let log = self.folder.path().join(format!("{name}.log"));
        let booting = tokio::spawn(async move {
            sleep(boot).await;
            let mut node = Node::new(&program, &log, settings)?;
            node.start().await?;
            balancer.register(&called, node.public()).await?;
            Ok(node)
        });
        self.instances.push(Instance {
            name: name.clone(),
            state: State::Booting(booting),
        });
        name
    }

    /// Waits for an instance's own word that it is in service: its node is ready, and the load balancer sends it
    /// connections.
    ///
    /// # Errors
    /// When it does not come so far in time.
    pub async fn in_service(&mut self, name: &str) -> anyhow::Result<()> {
        self.running(name).await?.ready(PATIENCE).await?;
        let checks = self.settings.check_interval * (self.settings.healthy_threshold + 1);
        let begun = Instant::now();
        while self.balancer.health(name).await? != Some(Health::Healthy) {
            ensure!(
                begun.elapsed() < checks + PATIENCE,
                "the load balancer has not found {name} healthy"
            );
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Takes an instance out as the stack does: it is taken out of the load balancer, which has heard of it after the lag; then
    /// a pause, then SIGTERM, then patience until its people have moved. All at most for the deregistration delay. Returns whether the node ended by itself, and in good order.
    ///
    /// # Errors
    /// When there is no such instance, or the load balancer does not answer.
    pub async fn retire(&mut self, name: &str) -> anyhow::Result<bool> {
        let mut node = self.take(name).await?;
        let begun = Instant::now();
        let heard = async {
            sleep(self.settings.deregistration_lag).await;
            self.balancer.deregister(name).await
        };
        let left = async {
            sleep(self.settings.pause_before_drain).await;
            node.terminate()?;
            let patience = self.settings.deregistration_delay.saturating_sub(begun.elapsed());
            let ended = node.ended(patience).await;
            anyhow::Ok(ended.is_ok_and(|status| status.success()))
        };
        let (heard, left) = tokio::join!(heard, left);
        heard?;
        self.balancer.remove(name).await?;
        left
    }

    /// Takes an instance away as a machine is that nobody prepared for it: it is gone at once, and the load balancer finds
    /// out by its checks.
    ///
    /// # Errors
    /// When there is no such instance, or it cannot be ended.
    pub async fn destroy(&mut self, name: &str) -> anyhow::Result<()> {
        self.take(name).await?.kill().await
    }

    /// A running node.
    ///
    /// # Errors
    /// When there is none of that name, or it could not be started.
    pub async fn node(&mut self, name: &str) -> anyhow::Result<&Node> {
        Ok(self.running(name).await?)
    }

    /// Waits until an instance's node runs.
    async fn running(&mut self, name: &str) -> anyhow::Result<&mut Node> {
        let mut found = self.instances.iter_mut();
        let instance = found
            .find(|instance| instance.name == name)
            .with_context(|| format!("there is no instance {name}"))?;
        if let State::Booting(booting) = &mut instance.state {
            let node = booting.await?.with_context(|| format!("{name} does not start"))?;
            instance.state = State::Running(Box::new(node));
        }
        match &mut instance.state {
            State::Running(node) => Ok(node),
            State::Booting(_) => anyhow::bail!("{name} does not run"),
        }
    }

    async fn take(&mut self, name: &str) -> anyhow::Result<Node> {
        self.running(name).await?;
        let place = self.instances.iter().position(|instance| instance.name == name);
        match self
            .instances
            .remove(place.context("it was there a moment ago")?)
            .state
        {
            State::Running(node) => Ok(*node),
            State::Booting(_) => anyhow::bail!("{name} does not run"),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for instance in &self.instances {
            if let State::Booting(booting) = &instance.state {
                booting.abort();
            }
        }
    }
}
