//! Which nodes a deployment has, by its own word: `GET /api/v1/cluster`.

use std::{collections::BTreeSet, path::Path, time::Duration};

use anyhow::Context;
use serde::Deserialize;

/// The nodes, as one of them knows them.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
}

/// A node.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) connections: u32,
    /// Share of its machine's cores that it uses.
    pub(super) load: f64,
    pub(super) draining: bool,
}

impl Nodes {
    /// The names of all.
    pub(super) fn all(&self) -> BTreeSet<String> {
        self.nodes.iter().map(|node| node.id.clone()).collect()
    }

    /// The names of those that are not leaving.
    pub(super) fn staying(&self) -> BTreeSet<String> {
        let staying = self.nodes.iter().filter(|node| !node.draining);
        staying.map(|node| node.id.clone()).collect()
    }
}

/// Asks for it.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Cluster {
    /// `base`: `https://HOST`. `authorities`: a PEM file of those to trust beside the known ones.
    pub(super) fn new(base: &str, token: &str, authorities: Option<&Path>) -> anyhow::Result<Self> {
        let mut client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .no_proxy();
        if let Some(file) = authorities {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            for authority in reqwest::Certificate::from_pem_bundle(&text)? {
                client = client.add_root_certificate(authority);
            }
        }
        Ok(Self {
            // Every time by another way: the load balancer may choose a node anew.
            client: client.pool_max_idle_per_host(0).build()?,
            url: format!("{}/api/v1/cluster", base.trim_end_matches('/')),
            token: token.to_owned(),
        })
    }

    /// The nodes now.
    pub(super) async fn nodes(&self) -> anyhow::Result<Nodes> {
        let request = self.client.get(&self.url).bearer_auth(&self.token);
        let answer = request
            .send()
            .await
            .with_context(|| format!("{} does not answer", self.url))?;
        let status = answer.status();
        anyhow::ensure!(
            status.is_success(),
            "{} says {status}; it takes an administrator's token",
            self.url
        );
        answer
            .json()
            .await
            .with_context(|| format!("{} does not answer with a list of nodes", self.url))
    }
}

/// Where HTTP is, for where the WebSocket is.
pub(super) fn base_of(target: &str) -> anyhow::Result<String> {
    let (scheme, rest) = if let Some(rest) = target.strip_prefix("wss://") {
        ("https", rest)
    } else if let Some(rest) = target.strip_prefix("ws://") {
        ("http", rest)
    } else {
        anyhow::bail!("{target} begins with neither ws:// nor wss://");
    };
    let host = rest.split('/').next().unwrap_or(rest);
    anyhow::ensure!(!host.is_empty(), "{target} names no host");
    Ok(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_where_the_socket_is() {
        assert_eq!(base_of("wss://a.example/ws").unwrap(), "https://a.example");
        assert_eq!(base_of("ws://127.0.0.1:80/ws").unwrap(), "http://127.0.0.1:80");
        for wrong in ["http://a", "a", "ws:///ws"] {
            assert!(base_of(wrong).is_err(), "{wrong}");
        }
    }
}
