//! A node from start to end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actors::{
    Rebalance, Settings, System,
    metrics::Metrics,
    ports::{Bus, Store},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    auth::Authenticator,
    bus::{self, BusConfig},
    config::{BusUrl, Config},
    drain,
    http::{self, gate::Gate, listener},
    io::Io,
    machine,
    store::{self, Stores},
    telemetry,
};

/// How long the store may take to commit what was accepted, at the very end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long closing the store may take after that.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A node whose listeners are open.
pub struct Server {
    config: Box<Config>,
    gate: Arc<Gate>,
    metrics: Metrics,
    public: Listening,
    private: Listening,
    system: Option<System>,
    /// The store that this server opened, and so closes.
    opened: Option<Arc<dyn Store>>,
    io: Io,
}

struct Listening {
    address: SocketAddr,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Opens the listeners. Nothing is served yet but health and metrics.
    ///
    /// # Errors
    /// When an address cannot be bound; the message names the key and what to do.
    pub fn bind(config: Config) -> anyhow::Result<Self> {
        let public = listener::bind("http.listen", config.http.listen)?;
        let private = listener::bind("http.private_listen", config.http.private_listen)?;
        let (metrics, scrape) = telemetry::metrics::recorder()?;
        let gate = Gate::new(&config, metrics.clone());
        let public = Listening::start(public, http::public(Arc::clone(&gate)))?;
        let private = Listening::start(private, http::private(Arc::clone(&gate), scrape.clone()))?;
        tokio::spawn(telemetry::metrics::sort(scrape, private.closing.clone()));
        Ok(Self {
            config: Box::new(config),
            gate,
            metrics,
            public,
            private,
            system: None,
            opened: None,
            io: Io::start()?,
        })
    }

    /// Where clients come in.
    pub fn public_address(&self) -> SocketAddr {
        self.public.address
    }

    /// Where health and metrics are.
    pub fn private_address(&self) -> SocketAddr {
        self.private.address
    }

    /// Reaches the store, trying again for as long as the configuration says, starts the actors and begins to serve.
    /// Not cancel safe; whoever cancels it ends the process.
    ///
    /// # Errors
    /// When the store is not reached in time, or is not usable.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let config = self.config.clone();
        let io = self.io.handle();
        let connecting = io.spawn(async move { Box::pin(store::connect(&config)).await });
        let stores = AbortOnDropHandle::new(connecting).await??;
        self.opened = Some(Arc::clone(&stores.log));
        let bus = {
            let _on_io = io.enter();
            bus::open(bus_config(&self.config))?
        };
        self.start_with(stores, bus).await
    }

    /// As [`Self::start`], with a store and a bus of the caller's.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn start_with(&mut self, stores: impl Into<Stores>, bus: Arc<dyn Bus>) -> anyhow::Result<()> {
        let Stores { log, accounts } = stores.into();
        let settings = Settings {
            io: Some(self.io.handle().clone()),
            ..settings(&self.config, self.public.address)
        };
        let system = System::start(settings, Arc::clone(&log), accounts, bus, self.metrics.clone()).await?;
        let people = system.people().clone();
        let authenticator = Authenticator::new(&*log, people, &self.config.auth).await?;
        self.gate.open(system.clone(), authenticator);
        self.system = Some(system);
        tracing::info!(node = %self.node(), "ready");
        Ok(())
    }

    /// Leaves quietly: the other nodes and the load balancer are told, clients are asked to move in paced batches, and at
    /// the deadline the rest of them is closed; what was accepted is committed and answered before. Until the last
    /// client has gone both listeners stay open: `/readyz` says 503, and so does a new upgrade. A node without clients
    /// ends at once.
    pub async fn drain(self) {
        self.gate.drain();
        if let Some(system) = &self.system {
            system.nodes().begin_drain();
            let patience = Duration::from_secs(self.config.drain.seconds);
            let left = drain::move_clients(system, patience).await;
            if left > 0 {
                tracing::warn!(
                    clients = left,
                    ?patience,
                    "the drain time is over; these clients are closed"
                );
            }
        }
        // Requests under way are answered while there are actors to do so.
        self.public.close().await;
        if let Some(system) = &self.system
            && !system.stop(FLUSH_TIMEOUT).await
        {
            tracing::error!(
                "the store did not commit everything in time; who was not answered will try again"
            );
        }
        self.private.close().await;
        if let Some(store) = self.opened
            && Box::pin(tokio::time::timeout(CLOSE_TIMEOUT, store.close()))
                .await
                .is_err()
        {
            tracing::warn!("the store was not closed in time; nothing is lost");
        }
    }

    fn node(&self) -> &str {
        self.system.as_ref().map_or("", |system| &system.settings().node)
    }
}

impl Listening {
    fn start(listener: TcpListener, router: axum::Router) -> Result<Self, std::io::Error> {
        let address = listener.local_addr()?;
        let closing = CancellationToken::new();
        let task = tokio::spawn(listener::serve(listener, router, closing.clone()));
        Ok(Self {
            address,
            closing,
            task,
        })
    }

    /// Ends it when the requests under way are answered.
    async fn close(self) {
        self.closing.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a listener failed");
        }
    }
}

fn settings(config: &Config, public: SocketAddr) -> Settings {
    let limits = &config.limits;
    let address = config.node.address.clone();
    Settings {
        address: address
            .unwrap_or_else(|| machine::reachable(public).to_string())
            .into(),
        version: env!("CARGO_PKG_VERSION").into(),
        lease: Duration::from_secs(config.cluster.lease_seconds),
        rebalance: Rebalance {
            percent: config.cluster.rebalance_percent,
            per_second: config.cluster.rebalance_per_second,
        },
        cpu_time: machine::cpu_time,
        node: config.node.name.clone().unwrap_or_else(generated_name).into(),
        outbox_bytes: limits.outbox_bytes,
        pending_room_bytes: limits.pending_appends_room_bytes,
        pending_node_bytes: limits.pending_appends_node_bytes,
        shards: config.store.shards,
        create_on_join: config.rooms.create_on_join,
        sends_per_second_per_user: limits.sends_per_second_per_user,
        connections_per_user: limits.connections_per_user,
        presence_people: match limits.presence_people {
            // As for every limit, 0 is off.
            0 => u64::MAX,
            people => u64::from(people),
        },
        room_members: match limits.room_members {
            0 => usize::MAX,
            members => members,
        },
        ..Settings::default()
    }
}

fn bus_config(config: &Config) -> BusConfig {
    let url = match &config.bus.url {
        BusUrl::Local => "local://",
        BusUrl::Redis(url) => url.expose(),
    };
    BusConfig {
        prefix: config.bus.prefix.clone(),
        tls_ca_file: config.bus.ca_file.clone(),
        ..BusConfig::new(url)
    }
}

/// Unique in any cluster: nodes tell their own frames on the bus by it.
fn generated_name() -> String {
    format!("n-{:016x}", fastrand::u64(..))
}
