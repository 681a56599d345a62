//! The nodes of the cluster, as this one knows them.

use std::sync::Arc;

use axum::Json;
use protocol::NodeLease;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{super::problem::Problem, caller::Caller};

/// A node, as it said when it last renewed its lease.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterNode, example = example_node)]
struct Node {
    /// Its name, unique in the cluster.
    id: Arc<str>,
    /// Where it serves clients.
    address: Arc<str>,
    /// What it runs.
    version: Arc<str>,
    /// When it started.
    since: u64,
    /// Connections that were welcomed and are open.
    connections: u64,
    /// Share of its machine's cores that it uses.
    #[schema(minimum = 0, maximum = 1)]
    load: f64,
    /// It is leaving and takes no new connections.
    draining: bool,
    /// It is the one that answers.
    this: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Cluster)]
pub(super) struct Answer {
    /// The one that answers first, then the others by name. It knows only itself while the bus is down.
    nodes: Vec<Node>,
    /// Of the nodes that are not leaving.
    mean_connections: f64,
}

fn example_node() -> Value {
    json!({
        "id": "n-4f1d2c3b5a697887",
        "address": "10.0.1.7:8080",
        "version": env!("CARGO_PKG_VERSION"),
        "since": 1_767_225_600_000_u64,
        "connections": 1_480,
        "load": 0.183,
        "draining": false,
        "this": true,
    })
}

#[utoipa::path(
    get,
    path = "/cluster",
    operation_id = "readCluster",
    tag = "administration",
    summary = "The nodes of the cluster, what they carry and how busy they are",
    responses((status = 200, description = "The nodes", body = Answer)),
)]
pub(super) async fn read(caller: Caller) -> Result<Json<Answer>, Problem> {
    caller.administrator()?;
    let view = caller.serving.system.nodes().view();
    let mean_connections = view.mean_connections();
    let this = Node::new(view.this, true);
    let others = view.others.into_iter().map(|lease| Node::new(lease, false));
    Ok(Json(Answer {
        nodes: std::iter::once(this).chain(others).collect(),
        mean_connections,
    }))
}

impl Node {
    fn new(lease: NodeLease, this: bool) -> Self {
        Self {
            id: lease.node,
            address: lease.address,
            version: lease.version,
            since: lease.since,
            connections: lease.connections,
            load: lease.load,
            draining: lease.draining,
            this,
        }
    }
}
