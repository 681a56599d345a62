//! Nodes in this process, on one store.

use std::{path::PathBuf, sync::Arc};

use actors::memory::{LocalBus, LocalHub};
use load_tests::{
    client::Options,
    lab::{TestPostgres, postgres_for_tests},
};
use node::{
    Server,
    config::{self, Assignment, Config, Sources},
    store::{self, Stores},
};
use tempfile::TempDir;

/// An empty store and a bus, for any number of nodes.
pub(crate) struct Place {
    url: String,
    pub(crate) hub: LocalHub,
    folder: TempDir,
    _postgres: Option<TestPostgres>,
}

/// A node in this process; ends with the test's runtime.
pub(crate) struct Node {
    server: Server,
    pub(crate) bus: Arc<LocalBus>,
    /// Keeps connections to the API open.
    pub(super) http: reqwest::Client,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            url: format!("sqlite://{}/hubbub.db", folder.path().display()),
            hub: LocalHub::new(),
            folder,
            _postgres: None,
        }
    }

    pub(crate) async fn postgres() -> Self {
        let postgres = postgres_for_tests().await.unwrap();
        Self {
            url: postgres.url().to_owned(),
            hub: LocalHub::new(),
            folder: tempfile::tempdir().unwrap(),
            _postgres: Some(postgres),
        }
    }

    /// A node with the configuration of the embedded default, and what `settings` (`key=value`) say.
    pub(crate) async fn node(&self, settings: &[&str]) -> Node {
        self.try_node(settings).await.unwrap()
    }

    /// As [`Place::node`], or why it does not start.
    pub(crate) async fn try_node(&self, settings: &[&str]) -> anyhow::Result<Node> {
        let stores = Box::pin(store::open(&self.config(settings))).await.unwrap();
        self.node_with(stores, settings).await
    }

    /// A node on a store that the test holds.
    pub(crate) async fn node_with(&self, stores: Stores, settings: &[&str]) -> anyhow::Result<Node> {
        let config = self.config(settings);
        let mut server = Server::bind(config).unwrap();
        let bus = Arc::new(self.hub.connect());
        let handle: Arc<LocalBus> = Arc::clone(&bus);
        Box::pin(server.start_with(stores, handle)).await?;
        Ok(Node::new(server, bus))
    }

    /// A node on a bus of its own configuration.
    pub(crate) async fn node_on(&self, bus_url: &str) -> Node {
        let config = self.config(&[&format!("bus.url={bus_url}")]);
        let mut server = Server::bind(config).unwrap();
        Box::pin(server.start()).await.unwrap();
        let bus = Arc::new(self.hub.connect());
        Node::new(server, bus)
    }

    /// A file of the test's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments that make a command of the node work here.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec!["--set".to_owned(), format!("store.url={}", self.url)]
    }

    /// What a node here is configured with.
    pub(crate) fn config(&self, settings: &[&str]) -> Config {
        let store = format!("store.url={}", self.url);
        let common = [
            "http.listen=127.0.0.1:0",
            "http.private_listen=127.0.0.1:0",
            "auth.guests=true",
            "rooms.create_on_join=true",
            "limits.handshakes_per_second_per_address=0",
            &store,
        ];
        let flags = common.iter().chain(settings).map(|setting| {
            let (key, value) = setting.split_once('=').unwrap();
            Assignment {
                key: key.to_owned(),
                value: value.to_owned(),
                origin: "test".to_owned(),
            }
        });
        let sources = Sources {
            file: None,
            folder: "/nonexistent".into(),
            environment: Vec::new(),
            flags: flags.collect(),
        };
        config::load(&sources).unwrap()
    }
}

impl Node {
    fn new(server: Server, bus: Arc<LocalBus>) -> Self {
        let http = reqwest::Client::new();
        Self { server, bus, http }
    }

    /// The API's address.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.server.public_address())
    }

    /// What the node's own page sends as `Origin`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.server.public_address())
    }

    /// How to connect.
    pub(crate) fn socket(&self) -> Options {
        Options::new(&format!("ws://{}/ws", self.server.public_address()))
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let page = reqwest::get(format!("http://{}/metrics", self.server.private_address()));
        let page = page.await.unwrap().text().await.unwrap();
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap().trim().parse().unwrap()
    }

    /// Ends it and waits until it has.
    pub(crate) async fn stop(self) {
        Box::pin(self.server.drain()).await;
    }
}
