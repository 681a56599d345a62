//! The connections to all servers of one Redis or Redis Cluster, and the questions that are put to them.

use std::{collections::BTreeMap, sync::Arc};

use actors::ports::Topic;
use futures_util::future::try_join_all;
use protocol::RoomName;
use redis::{Cmd, Pipeline, RedisResult, Value, cmd};

use super::{
    connect::{Connector, Inbox, Link, at},
    errors::moved,
    interest::{LinkId, Request},
    names::{Names, slot},
    script,
    topology::{Address, Topology},
};

/// A set of connections that belong together; replaced as a whole when servers or slots change.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) topology: Topology,
    /// In the order of `topology.nodes`.
    pub(super) links: Vec<Arc<Link>>,
    pub(super) names: Names,
}

impl Session {
    /// Connects to all servers and makes sure that each of them takes writes. `known` are servers of the same cluster
    /// that may be asked where the configured one is gone.
    ///
    /// # Errors
    /// In words, with the place.
    pub(super) async fn open(
        connector: &Connector,
        names: &Names,
        inbox: &Arc<dyn Inbox>,
        known: &[Address],
    ) -> Result<Self, String> {
        let mut seed = connector.connect(connector.configured(), Arc::clone(inbox)).await;
        for address in known {
            if seed.is_ok() {
                break;
            }
            // Where nobody answers, the configured server is what people should hear of.
            seed = connector
                .connect(address.clone(), Arc::clone(inbox))
                .await
                .or(seed);
        }
        let seed = Arc::new(seed?);
        let topology = if is_cluster(&seed).await.map_err(|e| at(&seed.address, &e))? {
            ask_topology(&seed).await?
        } else {
            Topology::single(seed.address.clone())
        };
        Self::with_topology(topology, &[seed], connector, names, inbox).await
    }

    /// The same cluster with the servers and slots of now; keeps the links to servers that remain.
    ///
    /// # Errors
    /// In words, with the place.
    pub(super) async fn refreshed(
        &self,
        ask: usize,
        connector: &Connector,
        inbox: &Arc<dyn Inbox>,
    ) -> Result<Self, String> {
        let topology = match self.links.get(ask % self.links.len().max(1)) {
            Some(link) if self.topology.cluster => ask_topology(link).await?,
            _ => self.topology.clone(),
        };
        Self::with_topology(topology, &self.links, connector, &self.names, inbox).await
    }

    async fn with_topology(
        topology: Topology,
        present: &[Arc<Link>],
        connector: &Connector,
        names: &Names,
        inbox: &Arc<dyn Inbox>,
    ) -> Result<Self, String> {
        let cluster = topology.cluster;
        let links = topology.nodes.iter().map(|address| async move {
            let link = match present.iter().find(|link| link.address == *address) {
                Some(link) => Arc::clone(link),
                None => Arc::new(connector.connect(address.clone(), Arc::clone(inbox)).await?),
            };
            single(&link, &script::load(cluster))
                .await
                .map_err(|e| at(address, &e))?;
            Ok::<_, String>(link)
        });
        let links = try_join_all(links).await?;
        let session = Self {
            topology,
            links,
            names: names.clone(),
        };
        // Slots that move once more in this moment are noticed by the next probe.
        session.probe().await?;
        Ok(session)
    }

    pub(super) fn link_of(&self, name: &str) -> &Arc<Link> {
        let owner = self.topology.owner(slot(name));
        // `links` has the length of `topology.nodes`, which is never empty.
        &self.links[owner]
    }

    pub(super) fn link_of_topic(&self, topic: &Topic) -> LinkId {
        self.link_of(&self.names.channel(topic)).id
    }

    pub(super) fn link(&self, id: LinkId) -> Option<&Arc<Link>> {
        self.links.iter().find(|link| link.id == id)
    }

    /// Makes sure that every server answers on both connections and takes writes. False if slots have moved, so that
    /// some server was asked for what is not its own.
    ///
    /// # Errors
    /// In words, with the place.
    pub(super) async fn probe(&self) -> Result<bool, String> {
        let probes = self.links.iter().enumerate().map(|(node, link)| async move {
            let (channel, key) = self.probe_names(node);
            let publish = script::publish_with_head(self.topology.cluster, &key, 0, Some((&channel, b"")));
            let failed = |error| at(&link.address, &error);
            let in_place = match single(link, &publish).await {
                Ok(_) => true,
                Err(error) if moved(&error) => false,
                Err(error) => return Err(failed(error)),
            };
            let ping = link.subscriber.clone().send_packed_command(&cmd("PING")).await;
            ping.and_then(Value::extract_error).map_err(failed)?;
            Ok(in_place)
        });
        Ok(try_join_all(probes).await?.into_iter().all(|in_place| in_place))
    }

    /// A name for a probe that lives on the server `node`.
    fn probe_names(&self, node: usize) -> (String, String) {
        (0..u32::from(u16::MAX))
            .map(|n| self.names.probe(n))
            .find(|(channel, _)| self.topology.owner(slot(channel)) == node)
            .unwrap_or_else(|| self.names.probe(0))
    }

    /// The commands that begin or end the subscriptions of `requests`, which are all of one link.
    pub(super) fn subscription_commands(&self, requests: &[Request]) -> Pipeline {
        let mut pipeline = Pipeline::new();
        for request in requests {
            let name = match (self.topology.cluster, request.subscribe) {
                (false, true) => "SUBSCRIBE",
                (false, false) => "UNSUBSCRIBE",
                (true, true) => "SSUBSCRIBE",
                (true, false) => "SUNSUBSCRIBE",
            };
            pipeline.cmd(name).arg(self.names.channel(&request.topic));
        }
        pipeline
    }

    /// The heads of `rooms`, in their order.
    ///
    /// # Errors
    /// In words, with the place; also while slots move.
    pub(super) async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<Option<u64>>, String> {
        // One MGET may only ask for keys of one slot in a cluster.
        let mut groups: BTreeMap<(usize, u16), Vec<usize>> = BTreeMap::new();
        for (position, room) in rooms.iter().enumerate() {
            let slot = slot(&self.names.head_key(room));
            let group = (
                self.topology.owner(slot),
                if self.topology.cluster { slot } else { 0 },
            );
            groups.entry(group).or_default().push(position);
        }
        let answers = self.links.iter().enumerate().map(|(node, link)| {
            let groups: Vec<&Vec<usize>> = groups
                .range((node, 0)..=(node, u16::MAX))
                .map(|(_, positions)| positions)
                .collect();
            async move {
                self.heads_of(link, rooms, &groups)
                    .await
                    .map_err(|e| at(&link.address, &e))
            }
        });
        let mut heads = vec![None; rooms.len()];
        for (position, head) in try_join_all(answers).await?.into_iter().flatten() {
            heads[position] = head;
        }
        Ok(heads)
    }

    async fn heads_of(
        &self,
        link: &Link,
        rooms: &[RoomName],
        groups: &[&Vec<usize>],
    ) -> RedisResult<Vec<(usize, Option<u64>)>> {
        let mut pipeline = Pipeline::new();
        for positions in groups {
            pipeline.cmd("MGET");
            for position in *positions {
                pipeline.arg(self.names.head_key(&rooms[*position]));
            }
        }
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let answers: Vec<Vec<Option<u64>>> = pipeline.query_async(&mut link.publisher.clone()).await?;
        Ok(groups
            .iter()
            .copied()
            .flatten()
            .copied()
            .zip(answers.into_iter().flatten())
            .collect())
    }
}

/// Puts one command on the publishing connection.
pub(super) async fn single(link: &Link, command: &Cmd) -> RedisResult<Value> {
    link.publisher
        .clone()
        .send_packed_command(command)
        .await?
        .extract_error()
}

async fn is_cluster(link: &Link) -> RedisResult<bool> {
    let info: String = redis::from_redis_value(single(link, cmd("INFO").arg("cluster")).await?)?;
    Ok(info.lines().any(|line| line.trim() == "cluster_enabled:1"))
}

async fn ask_topology(link: &Link) -> Result<Topology, String> {
    let here: &Address = &link.address;
    let answer = single(link, cmd("CLUSTER").arg("SLOTS"))
        .await
        .map_err(|e| at(here, &e))?;
    Topology::cluster(&answer, here).map_err(|problem| format!("Redis at {here}: {problem}"))
}
