//! Coming back: which node, when, and with what.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::time::Instant;

use super::Plan;
use crate::client::{Client, Error, Options};

/// A node that could not be reached is left alone for so long, if there are others: as a load balancer does that watches
/// its nodes.
const LEFT_ALONE: Duration = Duration::from_secs(1);
/// The shortest pause behind a failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Frames of talk are smaller; for larger ones it grows.
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// With a small receive buffer: the largest segment, as over a network.
const SEGMENT_BYTES: u32 = 1_460;

/// A connection in the making: which node, and what comes of it.
pub(super) struct Attempt {
    pub(super) target: Arc<str>,
    /// The positions that were resumed.
    pub(super) positions: Vec<(String, u64)>,
    pub(super) connecting: Pin<Box<dyn Future<Output = Result<Client, Error>> + Send>>,
}

/// When the next attempt is due, and where it must not go yet.
#[derive(Debug)]
pub(super) struct Comeback {
    pub(super) due: Option<Instant>,
    failures: u32,
    /// The node that failed last: another one is tried first.
    failed: Option<Arc<str>>,
    avoid: HashMap<Arc<str>, Instant>,
}

impl Comeback {
    /// At once.
    pub(super) fn now() -> Self {
        Self {
            due: Some(Instant::now()),
            failures: 0,
            failed: None,
            avoid: HashMap::new(),
        }
    }

    /// There is a connection.
    pub(super) fn succeeded(&mut self) {
        self.due = None;
        self.failures = 0;
        self.failed = None;
        self.avoid.clear();
    }

    /// A connection was lost: back soon, but not all at the same moment.
    pub(super) fn lost(&mut self, rng: &mut Rng) {
        self.due = Some(Instant::now() + FIRST_BACKOFF.mul_f64(rng.f64()));
    }

    /// An attempt failed. A node that says when it can be tried again is left alone until then.
    pub(super) fn failed(&mut self, target: &Arc<str>, error: &Error, plan: &Plan, rng: &mut Rng) {
        self.failures = self.failures.saturating_add(1);
        let longest = FIRST_BACKOFF
            .saturating_mul(1 << self.failures.min(10))
            .min(plan.backoff);
        let pause = longest.mul_f64(0.5 + 0.5 * rng.f64());
        let told = match error {
            Error::Upgrade(refused) => refused.retry_after_seconds.map(Duration::from_secs),
            Error::Refused(refused) => refused.retry_after_ms.map(Duration::from_millis),
            _ => None,
        };
        self.failed = Some(Arc::clone(target));
        let now = Instant::now();
        let alone = told.unwrap_or(LEFT_ALONE).mul_f64(1.0 + 0.5 * rng.f64());
        self.avoid.insert(Arc::clone(target), now + alone.max(pause));
        // Another node may do.
        self.due = Some(now + pause);
    }

    /// Where to go; `None` if it is too early for every node, and then [`Comeback::due`] says when it is not.
    pub(super) fn choose(
        &mut self,
        plan: &Plan,
        current: Option<&Arc<str>>,
        rng: &mut Rng,
    ) -> Option<Arc<str>> {
        let now = Instant::now();
        self.avoid.retain(|_, until| *until > now);
        let all = plan.targets.all();
        let free: Vec<&Arc<str>> = all
            .iter()
            .filter(|target| !self.avoid.contains_key(*target))
            .collect();
        // Who is asked to move goes elsewhere, and who was turned away tries elsewhere, if there is an elsewhere.
        let others: Vec<&Arc<str>> = free
            .iter()
            .filter(|target| Some(**target) != current && Some(**target) != self.failed.as_ref())
            .copied()
            .collect();
        let among = if others.is_empty() { &free } else { &others };
        let chosen = rng.choice(among).map(|target| Arc::clone(target));
        if chosen.is_none() {
            let soonest = self.avoid.values().min().copied();
            self.due = Some(soonest.unwrap_or(now + FIRST_BACKOFF));
        }
        chosen
    }
}

impl Attempt {
    pub(super) fn start(
        plan: &Plan,
        target: Arc<str>,
        token: Option<&str>,
        epoch: Option<&str>,
        positions: Vec<(String, u64)>,
    ) -> Self {
        let mut options = Options::new(&target)
            .codec(plan.codec)
            .timeout(plan.connect_timeout)
            .read_buffer_bytes(READ_BUFFER_BYTES);
        options = match token {
            Some(token) => options.token(token),
            None => options.guest(&plan.name),
        };
        if let (Some(epoch), false) = (epoch, positions.is_empty()) {
            options = options.resume(epoch, &positions);
        }
        if let Some(tls) = &plan.tls {
            options = options.tls(tls);
        }
        if let Some(from) = plan.from {
            options = options.from_address(from);
        }
        if let Some(bytes) = plan.receive_buffer_bytes {
            options = options.receive_buffer_bytes(bytes).segment_bytes(SEGMENT_BYTES);
        }
        Self {
            target,
            positions,
            connecting: Box::pin(async move { Client::connect(&options).await }),
        }
    }
}
