//! What all requests share: whether this node serves, and the limits at its door.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use actors::{System, metrics::Metrics};
use ipnet::IpNet;

use super::{admission::Admission, turns::Turns};
use crate::{
    auth::Authenticator,
    config::{Auth, Config, Limits, Origin},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module's documentation. The listeners are open before the store is reached; until then nothing is served.
pub(crate) struct Gate {
    pub(super) admission: Admission,
    pub(super) limits: Limits,
    auth: Auth,
    pub(super) allowed_origins: Vec<Origin>,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) metrics: Metrics,
    serving: OnceLock<Arc<Serving>>,
    draining: Arc<AtomicBool>,
}

/// What requests are served with.
pub(crate) struct Serving {
    pub(crate) system: System,
    pub(crate) authenticator: Authenticator,
    /// Whether anybody may sign up.
    pub(super) registration: bool,
    /// How long a session lasts.
    pub(super) session_lasts: Duration,
    /// For accepting invite links.
    pub(super) accepting: Turns,
    draining: Arc<AtomicBool>,
}

/// Why this node is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotReady {
    Starting,
    StoreDown,
    Draining,
}

impl Gate {
    pub(crate) fn new(config: &Config, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            admission: Admission::new(&config.limits),
            limits: config.limits.clone(),
            auth: config.auth.clone(),
            allowed_origins: config.http.allowed_origins.clone(),
            trusted_proxies: config.http.trusted_proxies.clone(),
            metrics,
            serving: OnceLock::new(),
            draining: Arc::default(),
        })
    }

    /// Begins to serve. Only the first call counts.
    pub(crate) fn open(&self, system: System, authenticator: Authenticator) {
        let draining = Arc::clone(&self.draining);
        self.serving.get_or_init(|| {
            Arc::new(Serving {
                system,
                authenticator,
                registration: self.auth.registration,
                session_lasts: DAY * self.auth.session_days,
                accepting: Turns::new(),
                draining,
            })
        });
    }

    /// This node is leaving: new connections are refused and `/readyz` says so.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
        self.metrics.draining().set(1.0);
    }

    /// What to serve new connections with; `None` while starting or draining.
    pub(super) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving
            .get()
            .filter(|serving| !serving.is_draining())
            .cloned()
    }

    /// What to serve requests with that end soon; `None` while starting.
    pub(super) fn answering(&self) -> Option<&Arc<Serving>> {
        self.serving.get()
    }

    pub(super) fn readiness(&self) -> Result<(), NotReady> {
        if self.draining.load(Relaxed) {
            return Err(NotReady::Draining);
        }
        match self.serving.get() {
            None => Err(NotReady::Starting),
            Some(serving) if !serving.system.clock().is_up() => Err(NotReady::StoreDown),
            Some(_) => Ok(()),
        }
    }
}

impl Serving {
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }
}
