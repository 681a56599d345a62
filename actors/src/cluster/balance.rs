//! When a node that carries more than the others asks connections to move, and how many. Pure: time is an argument.
//!
//! What is known of the others is a few seconds old, clients that move are nowhere for a moment, and where they come
//! back is the load balancer's choice, this node included. So that no swinging comes of it:
//!
//! * every node only gives away what it has above the mean: all of them together give what the others lack;
//! * the mean is that of the largest total of the last seconds, because clients on their way are missing in the newest;
//! * it begins when some node is clearly off the mean, beyond what chance makes, and ends when all are near it;
//! * while the mean itself moves, as when a fleet comes at once or comes back, nobody knows who is above it: it waits;
//! * where asking has no effect (a balancer that sends everybody back), it pauses, longer each time.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::settings::Rebalance;

/// Differences below so many connections are left alone.
const LEAST_DIFFERENCE: f64 = 10.0;
/// Differences below so many standard deviations of a random choice of node are chance, and left alone.
const CHANCE: f64 = 3.0;
/// Share of the surplus that is given away in one step, so that the end is reached gently.
const GENTLY: f64 = 0.5;
/// The total is remembered for at least so long; clients that were asked are elsewhere by then.
const MEMORY: Duration = Duration::from_secs(10);
/// First and longest pause after asking had no effect.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(16 * 60);

/// One node's decisions.
pub(super) struct Balancer {
    settings: Rebalance,
    /// How old what is known of other nodes can be.
    staleness: Duration,
    totals: VecDeque<Total>,
    /// Whether the mean has stayed where it is.
    steady: bool,
    /// Since when the cluster is out of balance.
    uneven_since: Option<Instant>,
    shedding: bool,
    /// Connections that may be asked now.
    allowance: f64,
    last_step: Option<Instant>,
    effort: Option<Effort>,
    pause: Duration,
    paused_until: Option<Instant>,
}

/// What this node knows at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load<'a> {
    /// Connections here that were welcomed.
    pub(super) own: u64,
    /// Those of them that were asked to move and have not gone yet.
    pub(super) asked: u64,
    /// Connections of the other nodes that are not leaving.
    pub(super) others: &'a [u64],
}

/// Connections of all nodes that are not leaving, at a moment.
struct Total {
    at: Instant,
    connections: u64,
    /// How many of this node's were asked to move then.
    asked: f64,
}

/// What was done since the last look at whether it helps.
struct Effort {
    nodes: usize,
    surplus: f64,
    asked: f64,
}

impl Balancer {
    /// `lease`: how long a node's lease lasts, which bounds the age of what it says.
    pub(super) fn new(settings: Rebalance, lease: Duration) -> Self {
        Self {
            settings,
            staleness: lease,
            totals: VecDeque::new(),
            steady: false,
            uneven_since: None,
            shedding: false,
            allowance: 0.0,
            last_step: None,
            effort: None,
            pause: FIRST_PAUSE,
            paused_until: None,
        }
    }

    /// Whether it is time to close those that were asked and have stayed: not while the mean moves, when they may find no
    /// node that has time for them.
    pub(super) fn is_steady(&self) -> bool {
        self.steady
    }

    /// How many connections to ask to move now. To be called about once a second, and not while this node is leaving.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers of connections, below 2^53 and not negative"
    )]
    pub(super) fn step(&mut self, load: Load<'_>, now: Instant) -> usize {
        let mean = self.mean(load, now);
        let tolerance = self.tolerance(mean);
        self.steady = self.moved(now) <= tolerance * (load.others.len() + 1) as f64;
        self.earn(now);
        if self.settings.percent == 0 || load.others.is_empty() {
            self.rest();
            return 0;
        }
        let staying = load.own.saturating_sub(load.asked) as f64;
        let off = off_the_mean(load.others, mean);
        self.decide(off.max((staying - mean).abs()), tolerance, now);
        if off.max((load.own as f64 - mean).abs()) <= tolerance {
            // It is even, also with those who were asked: whatever was done has helped.
            self.effort = None;
            self.pause = FIRST_PAUSE;
        }
        let surplus = staying - mean.ceil();
        if !self.steady
            || !self.shedding
            || surplus < 1.0
            || self.paused_until.is_some_and(|until| now < until)
        {
            return 0;
        }
        let count = (surplus * GENTLY).ceil().min(self.allowance.floor());
        self.allowance -= count;
        if let Some(total) = self.totals.back_mut() {
            total.asked = count;
        }
        self.judge(count, load.own as f64 - mean, load.others.len() + 1, now);
        count as usize
    }

    /// The mean of the largest total of late.
    #[allow(clippy::cast_precision_loss, reason = "a number of connections")]
    fn mean(&mut self, load: Load<'_>, now: Instant) -> f64 {
        let memory = MEMORY.max(2 * self.staleness);
        self.totals.push_back(Total {
            at: now,
            connections: load.own + load.others.iter().sum::<u64>(),
            asked: 0.0,
        });
        while self.totals.front().is_some_and(|total| now - total.at > memory) {
            self.totals.pop_front();
        }
        let totals = self.totals.iter().map(|total| total.connections);
        totals.max().unwrap_or_default() as f64 / (load.others.len() + 1) as f64
    }

    /// By how much the total has moved in the last seconds, beyond those who are missing because they were asked to move.
    #[allow(clippy::cast_precision_loss, reason = "a number of connections")]
    fn moved(&self, now: Instant) -> f64 {
        let lately = self.totals.iter().filter(|total| now - total.at <= MEMORY);
        let (least, most) = lately.fold((u64::MAX, 0), |(least, most), total| {
            (least.min(total.connections), most.max(total.connections))
        });
        let asked: f64 = self.totals.iter().map(|total| total.asked).sum();
        most.saturating_sub(least) as f64 - asked
    }

    fn earn(&mut self, now: Instant) {
        let rate = f64::from(self.settings.per_second);
        let passed = self.last_step.map_or(Duration::ZERO, |last| now - last);
        self.allowance = (self.allowance + passed.as_secs_f64() * rate).min(rate);
        self.last_step = Some(now);
    }

    fn tolerance(&self, mean: f64) -> f64 {
        let share = mean * f64::from(self.settings.percent) / 100.0;
        share.max(LEAST_DIFFERENCE).max(CHANCE * mean.sqrt())
    }

    /// Begins when it has been uneven for a while, and ends when it is even.
    fn decide(&mut self, off: f64, tolerance: f64, now: Instant) {
        if off <= tolerance {
            self.uneven_since = None;
        }
        if self.shedding {
            self.shedding = off > tolerance / 2.0;
        } else if off > tolerance {
            let since = *self.uneven_since.get_or_insert(now);
            self.shedding = now - since >= self.staleness;
        }
    }

    /// Pauses if all that was asked of clients has changed nothing. Even where they choose among `nodes` by chance, one
    /// of so many stays away for good.
    #[allow(clippy::cast_precision_loss, reason = "a number of nodes")]
    fn judge(&mut self, count: f64, surplus: f64, nodes: usize, now: Instant) {
        let effort = self.effort.get_or_insert(Effort {
            nodes,
            surplus,
            asked: 0.0,
        });
        // Who comes meanwhile, from a node that has failed, is no sign that asking has no effect.
        effort.surplus = effort.surplus.max(surplus);
        effort.asked += count;
        let enough = nodes as f64 * effort.surplus.max(LEAST_DIFFERENCE);
        if effort.nodes == nodes && effort.asked < enough {
            return;
        }
        let helped = effort.nodes != nodes || surplus < effort.surplus / 2.0;
        self.effort = None;
        if helped {
            self.pause = FIRST_PAUSE;
        } else {
            self.paused_until = Some(now + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn rest(&mut self) {
        self.effort = None;
        self.shedding = false;
        self.uneven_since = None;
    }
}

/// How far the one of `others` that is farthest from it is off the mean.
#[allow(clippy::cast_precision_loss, reason = "a number of connections")]
fn off_the_mean(others: &[u64], mean: f64) -> f64 {
    let off = others.iter().map(|other| (*other as f64 - mean).abs());
    off.fold(0.0, f64::max)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
