//! Nodes in this process, over a store and a bus that fail as ordered.

use std::sync::Arc;

use actors::memory::{LocalBus, LocalHub, MemoryStore};

use super::{Node, Settings};

/// Nodes that share a store in memory and a bus in this process.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// The store as each node sees it, with faults of its own.
    pub(crate) stores: Vec<MemoryStore>,
    /// The store without faults, for looking at what is committed.
    pub(crate) truth: MemoryStore,
    pub(crate) hub: LocalHub,
    /// The bus as each node sees it.
    pub(crate) buses: Vec<Arc<LocalBus>>,
}

impl Cluster {
    pub(crate) async fn start(nodes: usize, settings: &Settings) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            stores: Vec::new(),
            truth: MemoryStore::new(),
            hub: LocalHub::new(),
            buses: Vec::new(),
        };
        for _ in 0..nodes {
            cluster.add(settings).await;
        }
        cluster
    }

    /// One more node.
    pub(crate) async fn add(&mut self, settings: &Settings) {
        let store = self.truth.another_node();
        let bus = Arc::new(self.hub.connect());
        let node = Node::start_with(Arc::new(store.clone()), Arc::clone(&bus) as _, settings).await;
        self.buses.push(bus);
        self.nodes.push(node);
        self.stores.push(store);
    }

    pub(crate) fn url(&self, node: usize) -> String {
        self.nodes[node].url()
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Node::url).collect()
    }
}
