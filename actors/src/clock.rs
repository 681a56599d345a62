//! The store's clock and health, as last heard of.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
};

use parking_lot::RwLock;
use tokio::time::Instant;

use crate::ports::StoreStatus;

/// What the last status of the store said. Shared by all actors of a node.
pub struct StoreClock {
    begun: Instant,
    /// What the store's clock said, less what had passed then.
    offset_ms: AtomicI64,
    epoch: RwLock<Arc<str>>,
    up: AtomicBool,
}

impl StoreClock {
    pub(crate) fn new(status: &StoreStatus) -> Self {
        let clock = Self {
            begun: Instant::now(),
            offset_ms: AtomicI64::new(0),
            epoch: RwLock::new("".into()),
            up: AtomicBool::new(true),
        };
        clock.set(status);
        clock
    }

    /// The store's time, in Unix milliseconds: what it said last, and what has passed since by this machine's
    /// monotonic clock.
    pub fn now_ms(&self) -> u64 {
        self.passed_ms()
            .saturating_add_signed(self.offset_ms.load(Relaxed))
    }

    /// The store's history.
    pub fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.epoch.read())
    }

    /// Whether the store answered when it was last asked.
    pub fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Takes over a status. Returns whether the epoch is another one than before.
    pub(crate) fn set(&self, status: &StoreStatus) -> bool {
        self.up.store(true, Relaxed);
        let offset = i128::from(status.now_ms) - i128::from(self.passed_ms());
        self.offset_ms.store(i64::try_from(offset).unwrap_or(0), Relaxed);
        if *self.epoch.read() == status.epoch {
            return false;
        }
        *self.epoch.write() = Arc::clone(&status.epoch);
        true
    }

    pub(crate) fn set_down(&self) {
        self.up.store(false, Relaxed);
    }

    fn passed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
