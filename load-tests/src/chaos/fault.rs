//! What is done to the cluster, and how it is undone.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use fastrand::Rng;
use tokio::time::sleep;

use super::crowd::Crowd;
use crate::{
    client::persistent::Order,
    proxy::{BusFaults, Network},
    stage::{Place, Stage},
};

/// What the drain of a node may take beyond the time that it is given.
const DRAIN_MARGIN: Duration = Duration::from_secs(15);

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal;)*) => {
        /// A way of harming the cluster.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultKind { $($(#[doc = $doc])* $kind,)* }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// A node is killed (SIGKILL) and started again.
    KillNode = "kill_node";
    /// A node stands still (SIGSTOP) and goes on.
    FreezeNode = "freeze_node";
    /// A node is told to leave (SIGTERM), leaves, and is started again.
    DrainNode = "drain_node";
    /// A node and Redis cannot reach each other.
    PartRedis = "part_redis";
    /// A node and Postgres cannot reach each other.
    PartPostgres = "part_postgres";
    /// A node reaches neither Redis nor Postgres.
    PartBoth = "part_both";
    /// A node's connections to Redis and Postgres lose their other end, and nobody tells it.
    HalfOpen = "half_open";
    /// Redis is killed and comes back empty.
    RedisKilled = "redis_killed";
    /// Redis stands still and goes on.
    RedisPaused = "redis_paused";
    /// Redis becomes a replica that refuses writes, and a primary again.
    RedisReplica = "redis_replica";
    /// Connections to Redis are cut one after the other.
    RedisCut = "redis_cut";
    /// Everything that Redis says comes late.
    RedisSlow = "redis_slow";
    /// No message of the bus arrives.
    BusDropped = "bus_dropped";
    /// Messages of the bus arrive twice.
    BusDoubled = "bus_doubled";
    /// Messages of the bus arrive out of order.
    BusReordered = "bus_reordered";
    /// Postgres is killed and comes back.
    PostgresKilled = "postgres_killed";
    /// Postgres stands still and goes on.
    PostgresPaused = "postgres_paused";
    /// Everything that Postgres says comes late, and at a trickle.
    PostgresSlow = "postgres_slow";
    /// Some clients read nothing, and read again.
    StalledReader = "stalled_reader";
    /// Clients' connections are cut.
    ClientsCut = "clients_cut";
}

/// What a fault takes hold of; two that share something do not happen at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Redis,
    Postgres,
    Network(usize),
    Process(usize),
    Clients,
}

/// A fault that is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which.
    pub kind: FaultKind,
    /// The node that it is about, from 0, where it is about one.
    pub node: usize,
    /// How long it lasts.
    pub hold: Duration,
    /// Decides what is left to chance.
    pub seed: u64,
}

impl Fault {
    /// Whether both can happen at the same time.
    pub fn goes_with(&self, other: &Self, nodes: usize) -> bool {
        let others = other.parts(nodes);
        !self.parts(nodes).iter().any(|part| others.contains(part))
    }

    fn parts(&self, nodes: usize) -> Vec<Part> {
        use FaultKind::*;
        let networks = (0..nodes).map(Part::Network);
        match self.kind {
            KillNode | FreezeNode | DrainNode => vec![Part::Process(self.node), Part::Network(self.node)],
            PartRedis | PartPostgres | PartBoth | HalfOpen => vec![Part::Network(self.node)],
            RedisKilled | RedisPaused | RedisReplica => vec![Part::Redis],
            RedisCut | RedisSlow | BusDropped | BusDoubled | BusReordered => {
                networks.chain([Part::Redis]).collect()
            }
            PostgresKilled | PostgresPaused => vec![Part::Postgres],
            PostgresSlow => networks.chain([Part::Postgres]).collect(),
            StalledReader | ClientsCut => vec![Part::Clients],
        }
    }

    /// Whom it is about, in words.
    pub fn target(&self) -> String {
        use FaultKind::*;
        match self.kind {
            KillNode | FreezeNode | DrainNode | PartRedis | PartPostgres | PartBoth | HalfOpen => {
                format!("node-{}", self.node + 1)
            }
            RedisKilled | RedisPaused | RedisReplica | RedisCut | RedisSlow => "redis".to_owned(),
            BusDropped | BusDoubled | BusReordered => "bus".to_owned(),
            PostgresKilled | PostgresPaused | PostgresSlow => "postgres".to_owned(),
            StalledReader | ClientsCut => "clients".to_owned(),
        }
    }

    /// Does it, holds it and undoes it; returns once what was harmed works again. Not cancel safe.
    ///
    /// # Errors
    /// When something did not come back, or a node that was told to leave did not leave in good order.
    pub async fn inject(&self, stage: &Stage, crowd: &Crowd, drain: Duration) -> anyhow::Result<()> {
        use FaultKind::*;
        let mut rng = Rng::with_seed(self.seed);
        let places = stage.places();
        let place = places.get(self.node).context("no such node")?;
        match self.kind {
            KillNode | FreezeNode | DrainNode => self.on_process(place, drain).await,
            PartRedis | PartPostgres | PartBoth | HalfOpen => {
                self.on_network(place, &mut rng).await;
                Ok(())
            }
            RedisKilled | RedisPaused | RedisReplica => self.on_redis(stage).await,
            RedisCut => {
                let cuts = self.hold.as_millis() / 200 + 1;
                for _ in 0..cuts {
                    if let Some(place) = rng.choice(&places) {
                        place.to_redis.cut_one(rng.u64(..));
                    }
                    sleep(Duration::from_millis(200)).await;
                }
                Ok(())
            }
            RedisSlow | BusDropped | BusDoubled | BusReordered => {
                stage.set_redis_network(self.network(&mut rng));
                sleep(self.hold).await;
                stage.set_redis_network(Network::default());
                Ok(())
            }
            PostgresSlow => {
                stage.set_postgres_network(self.network(&mut rng));
                sleep(self.hold).await;
                stage.set_postgres_network(Network::default());
                Ok(())
            }
            PostgresKilled | PostgresPaused => self.on_postgres(stage).await,
            StalledReader | ClientsCut => {
                self.on_clients(crowd, &mut rng).await;
                Ok(())
            }
        }
    }

    async fn on_process(&self, place: &Place, drain: Duration) -> anyhow::Result<()> {
        match self.kind {
            FaultKind::FreezeNode => {
                place.node.lock().await.freeze(true)?;
                sleep(self.hold).await;
                place.node.lock().await.freeze(false)?;
            }
            FaultKind::DrainNode => {
                let mut node = place.node.lock().await;
                node.terminate()?;
                let status = node.ended(drain + DRAIN_MARGIN).await?;
                ensure!(
                    status.success(),
                    "{} was told to leave and ended with {status}",
                    place.name
                );
                node.start().await?;
            }
            _ => {
                place.node.lock().await.kill().await?;
                sleep(self.hold).await;
                place.node.lock().await.start().await?;
            }
        }
        place.ready().await
    }

    /// At random such that the other side is seen to be gone, or such that nothing is heard of it.
    async fn on_network(&self, place: &Place, rng: &mut Rng) {
        let seen = rng.bool();
        let network = Network {
            refuse: seen,
            stall: !seen,
            ..Network::default()
        };
        let all = [
            (&place.to_redis, self.kind != FaultKind::PartPostgres),
            (&place.to_postgres, self.kind != FaultKind::PartRedis),
        ];
        let proxies: Vec<_> = all
            .into_iter()
            .filter_map(|(proxy, harmed)| harmed.then_some(proxy))
            .collect();
        for proxy in &proxies {
            if self.kind == FaultKind::HalfOpen {
                proxy.half_open();
            } else {
                proxy.set(network);
                if seen {
                    proxy.cut();
                }
            }
        }
        sleep(self.hold).await;
        for proxy in proxies {
            proxy.heal();
        }
    }

    async fn on_redis(&self, stage: &Stage) -> anyhow::Result<()> {
        let kind = self.kind;
        stage
            .redis(move |redis| {
                match kind {
                    FaultKind::RedisKilled => redis.stop()?,
                    FaultKind::RedisPaused => redis.pause()?,
                    // Of nobody: it keeps what it has, and takes nothing.
                    _ => drop(redis.command(&["REPLICAOF", "127.0.0.1", "1"])?),
                }
                Ok(())
            })
            .await?;
        sleep(self.hold).await;
        stage
            .redis(move |redis| {
                match kind {
                    FaultKind::RedisKilled => redis.restart()?,
                    FaultKind::RedisPaused => redis.resume()?,
                    _ => drop(redis.command(&["REPLICAOF", "NO", "ONE"])?),
                }
                Ok(())
            })
            .await
    }

    async fn on_postgres(&self, stage: &Stage) -> anyhow::Result<()> {
        let mut postgres = stage.postgres.lock().await;
        if self.kind == FaultKind::PostgresPaused {
            postgres.pause()?;
            sleep(self.hold).await;
            postgres.resume()
        } else {
            postgres.stop().await?;
            sleep(self.hold).await;
            Box::pin(postgres.restart()).await
        }
    }

    async fn on_clients(&self, crowd: &Crowd, rng: &mut Rng) {
        let share = if self.kind == FaultKind::ClientsCut {
            0.3
        } else {
            0.05
        };
        let members = crowd.members().iter().filter(|_| rng.f64() < share);
        let chosen: Vec<_> = members.collect();
        let stalls = self.kind == FaultKind::StalledReader;
        for member in &chosen {
            member
                .client
                .order(if stalls { Order::Stall(true) } else { Order::Cut });
        }
        sleep(self.hold).await;
        for member in chosen.iter().filter(|_| stalls) {
            member.client.order(Order::Stall(false));
        }
    }

    fn network(&self, rng: &mut Rng) -> Network {
        let bus = match self.kind {
            FaultKind::BusDropped => BusFaults {
                drop: 1.0,
                ..BusFaults::default()
            },
            FaultKind::BusDoubled => BusFaults {
                duplicate: 0.7,
                ..BusFaults::default()
            },
            FaultKind::BusReordered => BusFaults {
                reorder: 0.5,
                drop: 0.1,
                ..BusFaults::default()
            },
            _ => BusFaults::default(),
        };
        let slow = matches!(self.kind, FaultKind::RedisSlow | FaultKind::PostgresSlow);
        Network {
            delay: if slow {
                Duration::from_millis(rng.u64(50..250))
            } else {
                Duration::ZERO
            },
            bytes_per_second: (self.kind == FaultKind::PostgresSlow).then_some(200_000),
            bus,
            ..Network::default()
        }
    }
}

/// Waits until all nodes serve, whatever was done to them.
///
/// # Errors
/// When one does not.
pub(super) async fn all_ready(places: &[Arc<Place>]) -> anyhow::Result<()> {
    for place in places {
        place.ready().await?;
    }
    Ok(())
}
