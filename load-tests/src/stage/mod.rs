//! A cluster of real processes on this machine: nodes, Postgres, Redis, and between them a network that can be harmed.

pub(crate) mod http;
mod node;
mod witness;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{sync::Mutex, task::spawn_blocking};

pub(crate) use node::metric;
pub use node::{Node, NodeState};
pub use witness::Witness;

use crate::{
    client::persistent::Targets,
    lab::{Postgres, PostgresOptions, Redis},
    proxy::{Network, Proxy, ProxyOptions},
};

/// How long a node may take until it serves.
pub const READY_WITHIN: Duration = Duration::from_secs(90);

/// How a stage is set up.
#[derive(Debug, Clone)]
pub struct StageOptions {
    /// How many nodes start at once.
    pub nodes: usize,
    /// The node's program; by default [`node_program`] finds it.
    pub program: Option<PathBuf>,
    /// Further configuration of every node: key and value.
    pub settings: Vec<(String, String)>,
    /// Decides all that is left to chance.
    pub seed: u64,
}

/// The cluster. Everything ends when it is dropped.
pub struct Stage {
    folder: PathBuf,
    program: PathBuf,
    options: StageOptions,
    /// The server that all nodes store in.
    pub postgres: Mutex<Postgres>,
    redis: Arc<std::sync::Mutex<Redis>>,
    nodes: std::sync::Mutex<Vec<Arc<Place>>>,
    database: String,
    postgres_port: u16,
    redis_port: u16,
    targets: Targets,
}

/// A node and its own ways to the servers.
pub struct Place {
    /// What it is called.
    pub name: String,
    /// The process.
    pub node: Mutex<Node>,
    /// Between it and Redis.
    pub to_redis: Proxy,
    /// Between it and Postgres.
    pub to_postgres: Proxy,
}

impl Stage {
    /// Starts everything, and returns when all nodes serve. What nodes log is in `folder`, `NAME.log`.
    ///
    /// # Errors
    /// When a server or a node does not start, or the node's program is not found.
    pub async fn start(folder: &Path, options: StageOptions) -> anyhow::Result<Self> {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => node_program()?,
        };
        // The power is never cut, and a disk that others write to as well would be measured instead.
        let postgres = PostgresOptions {
            fsync: false,
            max_connections: 300,
        };
        let postgres = Box::pin(Postgres::start_with(postgres)).await?;
        let database = postgres.create_database().await?;
        let redis = spawn_blocking(Redis::start).await??;
        let stage = Self {
            folder: folder.to_owned(),
            program,
            database,
            postgres_port: postgres.port(),
            redis_port: redis.port(),
            postgres: Mutex::new(postgres),
            redis: Arc::new(std::sync::Mutex::new(redis)),
            nodes: std::sync::Mutex::default(),
            targets: Targets::default(),
            options,
        };
        for _ in 0..stage.options.nodes {
            Box::pin(stage.add_node()).await?;
        }
        for place in stage.places() {
            place.node.lock().await.ready(READY_WITHIN).await?;
        }
        stage.publish();
        Ok(stage)
    }

    /// Starts one more node. Clients hear of it by [`Stage::publish`].
    ///
    /// # Errors
    /// As [`Stage::start`]; it need not serve yet.
    pub async fn add_node(&self) -> anyhow::Result<Arc<Place>> {
        let number = self.places().len() + 1;
        let name = format!("node-{number}");
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let seed = self.options.seed.wrapping_add(number as u64);
        let to_redis = ProxyOptions {
            redis: true,
            seed,
            ..ProxyOptions::new(local(self.redis_port))
        };
        let to_redis = Proxy::start(to_redis).await?;
        let to_postgres = Proxy::start(ProxyOptions::new(local(self.postgres_port))).await?;
        let direct = format!(":{}/", self.postgres_port);
        let proxied = format!(":{}/", to_postgres.address().port());
        let mut settings = vec![
            ("node.name".to_owned(), name.clone()),
            ("store.url".to_owned(), self.database.replace(&direct, &proxied)),
            ("bus.url".to_owned(), format!("redis://{}", to_redis.address())),
            ("auth.guests".to_owned(), "true".to_owned()),
            ("rooms.create_on_join".to_owned(), "true".to_owned()),
        ];
        settings.extend(self.options.settings.iter().cloned());
        let mut node = Node::new(&self.program, &self.folder.join(format!("{name}.log")), settings)?;
        node.start().await?;
        let place = Arc::new(Place {
            name,
            node: Mutex::new(node),
            to_redis,
            to_postgres,
        });
        lock(&self.nodes).push(Arc::clone(&place));
        Ok(place)
    }

    /// All nodes, by number.
    pub fn places(&self) -> Vec<Arc<Place>> {
        lock(&self.nodes).clone()
    }

    /// Where clients connect to; changes with [`Stage::publish`].
    pub fn targets(&self) -> Targets {
        self.targets.clone()
    }

    /// Tells clients of all nodes that there are.
    pub fn publish(&self) {
        let places = self.places();
        // Not locked: a node's address never changes.
        let urls = places
            .iter()
            .filter_map(|place| Some(place.node.try_lock().ok()?.url()));
        self.targets.set(urls.collect::<Vec<_>>());
    }

    /// The database, not through any proxy.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Runs something on the Redis server, which may take a while.
    ///
    /// # Errors
    /// What `work` fails with.
    pub async fn redis<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Redis) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let redis = Arc::clone(&self.redis);
        spawn_blocking(move || work(&mut lock(&redis))).await?
    }

    /// From now on the network between all nodes and Redis is like this.
    pub fn set_redis_network(&self, network: Network) {
        for place in self.places() {
            place.to_redis.set(network);
        }
    }

    /// From now on the network between all nodes and Postgres is like this.
    pub fn set_postgres_network(&self, network: Network) {
        for place in self.places() {
            place.to_postgres.set(network);
        }
    }

    /// Nodes that ended although nobody wanted them to, with how they ended.
    pub async fn fallen(&self) -> Vec<String> {
        let mut fallen = Vec::new();
        for place in self.places() {
            if let Some(how) = place.node.lock().await.fallen() {
                fallen.push(format!("{} ended by itself: {how}", place.name));
            }
        }
        fallen
    }
}

impl Place {
    /// Waits until the node serves.
    ///
    /// # Errors
    /// When it does not in time, or ended.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let private = self.node.lock().await.private();
        let started = tokio::time::Instant::now();
        while !http::is_ok(private, "/readyz").await {
            if started.elapsed() > READY_WITHIN {
                bail!("{} does not serve after {READY_WITHIN:?}", self.name);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }
}

/// The program of a node: the one that `HUBBUB_TEST_NODE` names, else the one beside this program.
///
/// # Errors
/// When there is none; says how to make it.
pub fn node_program() -> anyhow::Result<PathBuf> {
    if let Some(program) = std::env::var_os("HUBBUB_TEST_NODE") {
        return Ok(program.into());
    }
    let this = std::env::current_exe().context("the path of this program")?;
    // A test's program is one folder deeper.
    let beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("node"));
    let mut found = beside.filter(|program| program.is_file());
    found.next().with_context(|| {
        format!(
            "there is no program `node` beside {}: build it first (cargo build -p node, with the same profile), or name \
             one in HUBBUB_TEST_NODE",
            this.display()
        )
    })
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
