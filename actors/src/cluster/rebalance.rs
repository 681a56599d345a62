//! What the balancer decides is done.

use tokio::time::Instant;

use super::{
    balance::{Balancer, Load},
    nodes::Nodes,
};
use crate::connection::Connections;

/// Asks as many connections to move as the balance of the cluster wants now, and closes those that were asked and
/// stayed. A node that is leaving moves all of its connections anyway.
pub(super) fn rebalance(balancer: &mut Balancer, nodes: &Nodes, connections: &Connections) {
    let at_once = nodes.settings().rebalance.per_second as usize;
    if nodes.is_draining() {
        connections.close_overdue(at_once);
        return;
    }
    let view = nodes.view();
    let others = view.others.iter().filter(|lease| !lease.draining);
    let others: Vec<u64> = others.map(|lease| lease.connections).collect();
    let (own, asked) = connections.welcomed_and_asked();
    let load = Load {
        own: own as u64,
        asked: asked as u64,
        others: &others,
    };
    let count = balancer.step(load, Instant::now().into_std());
    if balancer.is_steady() {
        connections.close_overdue(at_once);
    }
    if count > 0 {
        let asked = connections.shed(count);
        tracing::debug!(
            asked,
            own,
            ?others,
            "connections are asked to move to other nodes"
        );
    }
}
