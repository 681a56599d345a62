//! Who a client is and how it behaves.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use protocol::{Codec, JoinFrom, RoomName};
use tokio::time::Instant;

use crate::{client::Tls, measure::Meter};

/// Everything about a persistent client that is chosen before it starts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where nodes are. Clients that share it see changes at once.
    pub targets: Targets,
    /// How frames are written.
    pub codec: Codec,
    /// A new guest of this name, unless there is a token.
    pub name: String,
    /// A credential.
    pub token: Option<String>,
    /// The local address to connect from: each has its own share of ports and of the nodes' limits.
    pub from: Option<IpAddr>,
    /// The rooms to be in, at most 200, and where their events begin.
    pub rooms: Vec<(RoomName, JoinFrom)>,
    /// A connection on which nothing was heard for so long after asking is given up.
    pub silence: Duration,
    /// How long nothing may be heard before the node is asked for a sign of life.
    pub ping_after: Duration,
    /// How long connecting may take, up to the `welcome`.
    pub connect_timeout: Duration,
    /// The longest pause between two attempts to connect; the first ones are shorter. With jitter.
    pub backoff: Duration,
    /// Commands that may be under way unanswered.
    pub window: usize,
    /// Size of the kernel's receive buffer, in bytes, and with it segments as over a network, so that a client that reads
    /// nothing is soon felt; `None`: as the system has it.
    pub receive_buffer_bytes: Option<u32>,
    /// Whom to trust, where targets are `wss://`.
    pub tls: Option<Tls>,
    /// When it was to begin: the wait for its first connection is counted from here; `None`: when it does.
    pub due: Option<Instant>,
    /// Where what it sees is added up.
    pub meter: Option<Meter>,
    /// Decides all that is left to chance.
    pub seed: u64,
}

impl Plan {
    /// A guest on these nodes, in no room yet.
    pub fn new(targets: Targets, name: &str) -> Self {
        Self {
            targets,
            codec: Codec::Json,
            name: name.to_owned(),
            token: None,
            from: None,
            rooms: Vec::new(),
            silence: Duration::from_secs(3),
            ping_after: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(4),
            backoff: Duration::from_secs(4),
            window: 32,
            receive_buffer_bytes: None,
            tls: None,
            due: None,
            meter: None,
            seed: 0,
        }
    }
}

/// The addresses of nodes, `ws://host:port/ws`. Cheap to clone; all clones see a change.
#[derive(Debug, Clone, Default)]
pub struct Targets(Arc<RwLock<Vec<Arc<str>>>>);

impl Targets {
    /// These nodes.
    pub fn new(urls: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        let targets = Self::default();
        targets.set(urls);
        targets
    }

    /// From now on these.
    pub fn set(&self, urls: impl IntoIterator<Item = impl Into<Arc<str>>>) {
        let urls = urls.into_iter().map(Into::into).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = urls;
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
