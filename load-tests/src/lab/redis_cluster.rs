//! A private Redis Cluster.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use anyhow::bail;

use super::{
    ports::{Overtaken, free_port},
    redis::{Redis, RedisOptions},
};

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;
const PATIENCE: Duration = Duration::from_secs(30);

/// Three primaries on free ports of 127.0.0.1 that share all slots, without replicas. Dropping it removes them.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one; blocks until every node knows every slot.
    ///
    /// # Errors
    /// As [`Redis::start`], or when the nodes do not find together.
    pub fn start() -> anyhow::Result<Self> {
        let nodes = (0..PRIMARIES)
            .map(|_| start_node(free_port))
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (n, node) in nodes.iter().enumerate() {
            let (first, last) = (SLOTS * n / PRIMARIES, SLOTS * (n + 1) / PRIMARIES - 1);
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()])?;
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes[1..] {
            cluster.meet(node)?;
        }
        wait("the Redis nodes did not form a cluster", || cluster.is_formed())?;
        Ok(cluster)
    }

    /// Where one of its nodes is; clients find the others from there.
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// The nodes, all primaries.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The nodes, to stop or restart one. A node that was restarted has forgotten the cluster.
    pub fn nodes_mut(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// Adds a replica of the node `of`, which takes over when that node fails; it is the last of
    /// [`RedisCluster::nodes`]. Blocks until it holds what its primary holds.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub fn add_replica(&mut self, of: usize) -> anyhow::Result<()> {
        let replica = start_node(free_port)?;
        let primary = self.nodes[of].command(&["CLUSTER", "MYID"])?;
        self.meet(&replica)?;
        wait("the replica did not find its primary", || {
            // The primary is unknown to it until the news has spread.
            Ok(replica.command(&["CLUSTER", "REPLICATE", &primary]).is_ok())
        })?;
        wait("the replica did not become one", || {
            let all_know = self.nodes.iter().map(|node| {
                let nodes = node.command(&["CLUSTER", "NODES"])?;
                Ok(nodes
                    .lines()
                    .any(|line| line.contains("slave") && line.contains(&primary)))
            });
            Ok(all_know
                .collect::<anyhow::Result<Vec<bool>>>()?
                .into_iter()
                .all(|knows| knows)
                && replica
                    .command(&["INFO", "replication"])?
                    .contains("master_link_status:up"))
        })?;
        self.nodes.push(replica);
        Ok(())
    }

    /// Begins to move `slot` from the node `from` to the node `to`; neither serves it fully until
    /// [`RedisCluster::end_move`].
    ///
    /// # Errors
    /// When a node refuses.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) -> anyhow::Result<()> {
        let id = |node: usize| self.nodes[node].command(&["CLUSTER", "MYID"]);
        self.nodes[to].command(&["CLUSTER", "SETSLOT", &slot.to_string(), "IMPORTING", &id(from)?])?;
        self.nodes[from].command(&["CLUSTER", "SETSLOT", &slot.to_string(), "MIGRATING", &id(to)?])?;
        Ok(())
    }

    /// Ends the move of `slot`, whose keys are not moved: it should be empty.
    ///
    /// # Errors
    /// When a node refuses.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) -> anyhow::Result<()> {
        let owner = self.nodes[to].command(&["CLUSTER", "MYID"])?;
        // The new owner first: only what it claims with a new epoch is believed by the others.
        for node in [to, from] {
            self.nodes[node].command(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &owner])?;
        }
        Ok(())
    }

    fn meet(&self, node: &Redis) -> anyhow::Result<()> {
        let bus_port = node.command(&["CONFIG", "GET", "cluster-port"])?;
        let bus_port = bus_port.lines().last().unwrap_or_default();
        self.nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), bus_port])?;
        Ok(())
    }

    fn is_formed(&self) -> anyhow::Result<bool> {
        let mut formed = true;
        for node in &self.nodes {
            let info = node.command(&["CLUSTER", "INFO"])?;
            formed &= info.contains("cluster_state:ok")
                && info.contains("cluster_slots_ok:16384")
                && info.contains(&format!("cluster_known_nodes:{PRIMARIES}"));
        }
        Ok(formed)
    }
}

fn wait(or: &str, mut until: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !until()? {
        if Instant::now() > deadline {
            bail!("{or} within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Starts one whose port for the cluster's bus is the first of `bus_ports` that nobody has taken by then: for clients,
/// [`Redis`] finds a free one by itself.
fn start_node(mut bus_ports: impl FnMut() -> io::Result<u16>) -> anyhow::Result<Redis> {
    let mut overtaken = Overtaken::default();
    loop {
        let started = Redis::start_with(RedisOptions {
            config: vec![
                "cluster-enabled yes".into(),
                format!("cluster-port {}", bus_ports()?),
                "cluster-node-timeout 2000".into(),
            ],
            ..RedisOptions::default()
        });
        match started {
            Ok(node) => return Ok(node),
            Err(error) => overtaken.again(error)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_taken_in_between_is_left() {
        let faster = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = faster.local_addr().unwrap().port();
        let mut ports = std::iter::once(taken);
        let node = start_node(|| ports.next().map_or_else(free_port, Ok)).unwrap();
        let port = node.command(&["CONFIG", "GET", "cluster-port"]).unwrap();
        assert!(!port.contains(&taken.to_string()), "{port}");
    }

    #[test]
    fn the_nodes_share_the_slots() {
        let cluster = RedisCluster::start().unwrap();
        // "foo" lives in slot 12182, with the third node.
        assert!(cluster.nodes()[0].command(&["SET", "foo", "1"]).is_err());
        assert_eq!(cluster.nodes()[2].command(&["SET", "foo", "1"]).unwrap(), "OK");
    }
}
