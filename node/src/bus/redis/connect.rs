//! Opening connections to one Redis server.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, PushInfo, RedisError,
    RedisResult, TlsCertificates,
    aio::{AsyncPushSender, MultiplexedConnection, SendError},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use super::{errors::explain, interest::LinkId, topology::Address};
use crate::bus::{BusConfig, BusConfigError};

/// Knows how to reach the servers.
#[derive(Debug)]
pub(super) struct Connector {
    info: ConnectionInfo,
    config: AsyncConnectionConfig,
    connect_timeout: Duration,
    next_link: AtomicU64,
}

/// Two connections to one server. Subscriptions have one of their own: a server cuts off a subscriber that is slow,
/// and publishing should not suffer from it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) address: Address,
    pub(super) publisher: MultiplexedConnection,
    pub(super) subscriber: MultiplexedConnection,
}

/// Takes what servers push; must not block.
pub(super) trait Inbox: Send + Sync + 'static {
    fn pushed(&self, link: LinkId, info: PushInfo);
}

struct Pushes {
    link: LinkId,
    inbox: Arc<dyn Inbox>,
}

impl AsyncPushSender for Pushes {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        self.inbox.pushed(self.link, info);
        Ok(())
    }
}

impl Connector {
    pub(super) fn new(config: &BusConfig) -> Result<Self, BusConfigError> {
        let bad_url = |error: &RedisError| BusConfigError::Url(error.category().to_owned());
        let mut client = Client::open(config.url.as_str()).map_err(|e| bad_url(&e))?;
        if config.scheme() == "rediss" {
            // Fails if one is installed already, which serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
            if let Some(path) = &config.tls_ca_file {
                let problem = |problem: String| BusConfigError::CaFile {
                    path: path.display().to_string(),
                    problem,
                };
                let root_cert = Some(fs::read(path).map_err(|e| problem(e.to_string()))?);
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert,
                };
                client = Client::build_with_tls(config.url.as_str(), certificates).map_err(|e| {
                    problem(format!(
                        "holds no usable certificate in PEM form ({})",
                        e.category()
                    ))
                })?;
            }
        }
        let info = client.get_connection_info().clone();
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(10))
            .with_interval(Duration::from_secs(5))
            .with_retries(3);
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
        Ok(Self {
            info: info.set_redis_settings(redis).set_tcp_settings(tcp),
            config: AsyncConnectionConfig::new()
                .set_connection_timeout(Some(config.connect_timeout))
                .set_response_timeout(Some(config.response_timeout)),
            connect_timeout: config.connect_timeout,
            next_link: AtomicU64::new(1),
        })
    }

    /// The server that the configuration names.
    pub(super) fn configured(&self) -> Address {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Address {
                host: host.clone(),
                port: *port,
            },
            other => Address {
                host: other.to_string(),
                port: 0,
            },
        }
    }

    /// Connects to `address`.
    ///
    /// # Errors
    /// In words, with the address.
    pub(super) async fn connect(&self, address: Address, inbox: Arc<dyn Inbox>) -> Result<Link, String> {
        let id = self.next_link.fetch_add(1, Ordering::Relaxed);
        let config = self.config.clone().set_push_sender(Pushes { link: id, inbox });
        let client = Client::open(self.info.clone().set_addr(self.addr_of(&address)));
        let both = async {
            let client = client?;
            let publisher = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let subscriber = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            RedisResult::Ok((publisher, subscriber))
        };
        match tokio::time::timeout(self.connect_timeout, both).await {
            Ok(Ok((publisher, subscriber))) => Ok(Link {
                id,
                address,
                publisher,
                subscriber,
            }),
            Ok(Err(error)) => Err(at(&address, &error)),
            Err(_) => Err(format!(
                "Redis at {address}: no connection within {:?}",
                self.connect_timeout
            )),
        }
    }

    fn addr_of(&self, address: &Address) -> ConnectionAddr {
        let (new_host, new_port) = (address.host.clone(), address.port);
        match self.info.addr().clone() {
            ConnectionAddr::TcpTls {
                insecure, tls_params, ..
            } => ConnectionAddr::TcpTls {
                host: new_host,
                port: new_port,
                insecure,
                tls_params,
            },
            _ => ConnectionAddr::Tcp(new_host, new_port),
        }
    }
}

/// `error` with the place where it happened.
pub(super) fn at(address: &Address, error: &RedisError) -> String {
    format!("Redis at {address}: {}", explain(error))
}
