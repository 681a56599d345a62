//! A bound in bytes that many share.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use metrics::Gauge;

/// A budget of bytes.
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
    gauge: Option<Gauge>,
}

/// Bytes taken from a [`Budget`]; given back on drop.
pub(crate) struct Reserved {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize, gauge: Option<Gauge>) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
            gauge,
        })
    }

    /// Takes `bytes`, if that many are left.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Relaxed, Relaxed, fits).ok()?;
        self.report();
        Some(Reserved {
            budget: Arc::clone(self),
            bytes,
        })
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "a gauge of bytes need not be exact above 2⁵³"
    )]
    fn report(&self) {
        if let Some(gauge) = &self.gauge {
            gauge.set(self.used() as f64);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
        self.budget.report();
    }
}
