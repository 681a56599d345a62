//! A node in this process.

use std::{net::SocketAddr, sync::Arc};

use actors::ports::Bus;
use node::{
    Server,
    config::{self, Assignment, Config, Sources},
    store::Stores,
};

use super::Settings;

/// A node in this process; ends with the test's runtime.
pub(crate) struct Node {
    server: Server,
}

impl Node {
    /// Serves from a store and a bus of the test's.
    pub(crate) async fn start_with(store: impl Into<Stores>, bus: Arc<dyn Bus>, settings: &Settings) -> Self {
        let mut server = Server::bind(load(settings)).unwrap();
        server.start_with(store, bus).await.unwrap();
        Self { server }
    }

    /// Serves from the store and the bus that the settings name.
    pub(crate) async fn start(settings: &Settings) -> Self {
        let mut server = Server::bind(load(settings)).unwrap();
        Box::pin(server.start()).await.unwrap();
        Self { server }
    }

    /// Tells it to leave, and waits until it has.
    pub(crate) async fn drain(self) {
        Box::pin(self.server.drain()).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/ws", self.server.public_address())
    }

    /// An address below that of the HTTP API.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.server.public_address())
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        metric(self.server.private_address(), name).await
    }
}

/// What every node of these tests is configured with, in front of what a test adds.
pub(super) const COMMON: [(&str, &str); 5] = [
    ("http.listen", "127.0.0.1:0"),
    ("http.private_listen", "127.0.0.1:0"),
    ("auth.guests", "true"),
    ("rooms.create_on_join", "true"),
    ("limits.handshakes_per_second_per_address", "0"),
];

fn load(settings: &Settings) -> Config {
    let assign = |(key, value): (&str, &str)| Assignment {
        key: key.to_owned(),
        value: value.to_owned(),
        origin: "test".to_owned(),
    };
    let added = settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let sources = Sources {
        file: None,
        folder: "/nonexistent".into(),
        environment: Vec::new(),
        flags: COMMON.into_iter().chain(added).map(assign).collect(),
    };
    config::load(&sources).unwrap()
}

pub(super) async fn metric(private: SocketAddr, name: &str) -> f64 {
    let page = reqwest::get(format!("http://{private}/metrics")).await.unwrap();
    let page = page.text().await.unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no metric {name}"))
        .trim()
        .parse()
        .unwrap()
}
