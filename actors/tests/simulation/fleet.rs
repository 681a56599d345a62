//! Runs many seeds on all cores.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use actors::planted::Bug;

use crate::{panics, plan::Plan, run::run, world::Counts};

/// What became of many seeds.
pub(crate) struct Fleet {
    /// How many were run.
    pub(crate) seeds: u64,
    /// The lowest seed that failed, and what it broke.
    pub(crate) failed: Option<(u64, String)>,
    pub(crate) counts: Counts,
    pub(crate) took: Duration,
}

impl Fleet {
    pub(crate) fn per_minute(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a number of seeds")]
        let seeds = self.seeds as f64;
        60.0 * seeds / self.took.as_secs_f64()
    }
}

/// Runs seeds from `first` on: `count` of them, no more once one has failed, and none that would begin after `limit`.
pub(crate) fn run_seeds(first: u64, count: u64, bug: Option<Bug>, limit: Duration) -> Fleet {
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(Fleet {
        seeds: 0,
        failed: None,
        counts: Counts::default(),
        took: Duration::ZERO,
    });
    let work = || {
        panics::catch();
        while !stop.load(SeqCst) && begun.elapsed() < limit {
            let seed = next.fetch_add(1, SeqCst);
            if seed >= first + count {
                break;
            }
            let report = run(&Plan::new(seed), bug, false);
            let mut total = total.lock().unwrap();
            total.seeds += 1;
            total.counts.add(&report.counts);
            if let Some(violation) = report.violation {
                stop.store(true, SeqCst);
                if total.failed.as_ref().is_none_or(|(known, _)| seed < *known) {
                    total.failed = Some((seed, violation));
                }
            }
        }
        panics::release();
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut total = total.into_inner().unwrap();
    total.took = begun.elapsed();
    total
}
