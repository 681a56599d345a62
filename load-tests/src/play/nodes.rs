//! Nodes that are started for a run, and what they store in.

use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::{PlayArgs, program};
use crate::{
    lab::{Postgres, PostgresOptions, Redis},
    measure::Usage,
    stage::{Node, READY_WITHIN},
};

/// How long a node may take to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// The nodes. Everything ends, and all folders go, when this is dropped.
pub(super) struct Nodes {
    nodes: Vec<(String, Node)>,
    store: String,
    // Behind the nodes: it is dropped after them.
    servers: Option<(Postgres, Redis)>,
    _folder: TempDir,
}

impl Nodes {
    /// Starts them, and returns when all serve.
    pub(super) async fn start(args: &PlayArgs) -> anyhow::Result<Self> {
        let program = program::find(args).await?;
        let folder = tempfile::Builder::new().prefix("hubbub-load-").tempdir()?;
        let servers = if args.nodes > 1 || args.postgres {
            // What is measured is Hubbub, not this machine's disk.
            let options = PostgresOptions {
                fsync: false,
                max_connections: 300,
            };
            let postgres = Box::pin(Postgres::start_with(options)).await?;
            Some((postgres, spawn_blocking(Redis::start).await??))
        } else {
            None
        };
        let data = folder.path().join("data");
        let store = match &servers {
            Some((postgres, _)) => postgres.url(),
            None => format!("sqlite://{}", data.join("hubbub.db").display()),
        };
        let mut common = vec![
            ("data_dir".to_owned(), data.display().to_string()),
            ("store.url".to_owned(), store.clone()),
            ("auth.guests".to_owned(), "true".to_owned()),
            ("rooms.create_on_join".to_owned(), "true".to_owned()),
        ];
        common.extend(
            servers
                .iter()
                .map(|(_, redis)| ("bus.url".to_owned(), redis.url())),
        );
        for setting in &args.settings {
            let (key, value) = setting
                .split_once('=')
                .with_context(|| format!("--set {setting} must be like KEY=VALUE"))?;
            common.push((key.to_owned(), value.to_owned()));
        }
        let mut nodes = Vec::new();
        for number in 1..=args.nodes {
            let name = format!("node-{number}");
            let mut settings = common.clone();
            settings.push(("node.name".to_owned(), name.clone()));
            let log = folder.path().join(format!("{name}.log"));
            let mut node = Node::new(&program, &log, settings)?;
            node.start().await?;
            nodes.push((name, node));
        }
        for (name, node) in &mut nodes {
            if let Err(error) = node.ready(READY_WITHIN).await {
                // The folder goes with us: what the log says has to be said now.
                let log = folder.path().join(format!("{name}.log"));
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                return Err(error.context(format!("{name} said:\n{}", last.join("\n"))));
            }
        }
        Ok(Self {
            nodes,
            store,
            servers,
            _folder: folder,
        })
    }

    /// Where clients connect.
    pub(super) fn targets(&self) -> Vec<String> {
        self.nodes.iter().map(|(_, node)| node.url()).collect()
    }

    /// The store, for the checker.
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// What each has cost so far, and what their servers have.
    pub(super) fn usage(&self) -> Vec<(String, Usage)> {
        let of = |(name, node): &(String, Node)| Some((name.clone(), Usage::of(node.pid()?).ok()?));
        let mut all: Vec<(String, Usage)> = self.nodes.iter().filter_map(of).collect();
        if let Some((postgres, redis)) = &self.servers {
            all.extend(postgres.usage().map(|usage| ("postgres".to_owned(), usage)));
            all.extend(redis.usage().map(|usage| ("redis".to_owned(), usage)));
        }
        all
    }

    /// Those that ended by themselves, with how.
    pub(super) fn fallen(&mut self) -> Vec<String> {
        let fallen = self.nodes.iter_mut().filter_map(|(name, node)| {
            let how = node.fallen()?;
            Some(format!("{name} ended by itself: {how}"))
        });
        fallen.collect()
    }

    /// Ends them in good order; those that did not.
    pub(super) async fn end(mut self) -> Vec<String> {
        let mut troubles = Vec::new();
        for (name, node) in &mut self.nodes {
            if node.terminate().is_err() {
                continue;
            }
            match node.ended(LEAVE_WITHIN).await {
                Ok(status) if status.success() => {}
                Ok(status) => troubles.push(format!("{name} ended with {status}")),
                Err(error) => troubles.push(format!("{name}: {error:#}")),
            }
        }
        troubles
    }
}
