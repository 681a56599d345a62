//! A node in this process.

use std::{net::SocketAddr, path::Path, sync::Arc};

use actors::memory::{LocalBus, MemoryStore};
use node::{Server, cli};
use protocol::Codec;
use tempfile::TempDir;

use super::{Raw, eventually, http};

/// A node on ports of its own, with SQLite in a folder of its own. Ends with the test's runtime.
pub(crate) struct Node {
    server: Server,
    _folder: Option<TempDir>,
}

impl Node {
    /// With the default configuration.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With `section.key=value` settings.
    pub(crate) async fn with(settings: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let node = Self::in_folder(folder.path(), settings).await;
        Self {
            _folder: Some(folder),
            ..node
        }
    }

    /// With a store that outlives it.
    pub(crate) async fn in_folder(folder: &Path, settings: &[&str]) -> Self {
        let mut node = Self::bound(folder, settings);
        node.server.start().await.unwrap();
        node
    }

    /// With a store and a bus of the test's, where nothing is in a folder.
    pub(crate) async fn on(store: MemoryStore, bus: LocalBus, settings: &[&str]) -> Self {
        let mut node = Self::bound(Path::new("/nonexistent"), settings);
        node.server
            .start_with(Arc::new(store), Arc::new(bus))
            .await
            .unwrap();
        node
    }

    /// With open listeners, and nothing behind them yet.
    pub(crate) fn bound(folder: &Path, settings: &[&str]) -> Self {
        let data_dir = format!("data_dir={}", folder.display());
        let own = [
            "http.listen=127.0.0.1:0",
            "http.private_listen=127.0.0.1:0",
            &data_dir,
        ];
        let flags = own.iter().chain(settings).flat_map(|setting| ["--set", setting]);
        let line = std::iter::once("node").chain(flags).map(Into::into);
        let invocation = cli::parse_from(line, [], folder.to_owned()).unwrap();
        Self {
            server: Server::bind(invocation.config).unwrap(),
            _folder: None,
        }
    }

    /// Ends it, and waits until it has.
    pub(crate) async fn stop(self) {
        self.server.drain().await;
    }

    pub(crate) fn public(&self) -> SocketAddr {
        self.server.public_address()
    }

    pub(crate) fn private(&self) -> SocketAddr {
        self.server.private_address()
    }

    /// A connection that has said nothing yet.
    pub(crate) async fn open(&self, codec: Codec) -> Raw {
        Raw::open(self.public(), codec, &[]).await
    }

    /// A connection of a new guest, welcomed.
    pub(crate) async fn guest(&self, codec: Codec, name: &str) -> Raw {
        let mut raw = self.open(codec).await;
        raw.hello(serde_json::json!({ "guest": name })).await;
        raw
    }

    /// A guest who has joined `room` and read what came with it.
    pub(crate) async fn joined(&self, codec: Codec, name: &str, room: &str) -> Raw {
        let mut raw = self.guest(codec, name).await;
        raw.ok(serde_json::json!({ "op": "join", "room": room, "limit": 0 }))
            .await;
        raw
    }

    /// The value of a metric with exactly these labels, as text such as `name{label="value"}`.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = http::get(self.private(), "/metrics").await.body;
        sample(&text, series).unwrap_or_else(|| panic!("no `{series}` in\n{text}"))
    }

    /// Waits until a metric has this value: counting may come a moment behind what is counted.
    pub(crate) async fn metric_becomes(&self, series: &str, value: f64) {
        eventually(&format!("`{series}` to be {value}"), || async {
            (self.metric(series).await == value).then_some(())
        })
        .await;
    }
}

/// The value of a series in the text of `/metrics`.
pub(crate) fn sample(text: &str, series: &str) -> Option<f64> {
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    values.next().map(|value| value.parse().unwrap())
}
