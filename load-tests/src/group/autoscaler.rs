//! When a group grows and shrinks. Pure: it is told one datapoint of each metric a period, and has no clock of its own.
//!
//! It follows AWS' target tracking: an alarm above the target (3 datapoints in a row) and one below nine tenths of it (15);
//! out at once to the size that brings the mean to the target, in only when every policy would have it so. Where it differs:
//!
//! * it shrinks by one instance at a time and waits until that one is gone; AWS says no more than that it shrinks gradually;
//! * datapoints come on time, where CloudWatch takes up to a minute or two more to have them;
//! * a metric of the nodes' own is summed up over those that reported it, where AWS multiplies its mean by the group's size.

use std::{collections::VecDeque, fmt};

use super::scaling::{Metric, Policy, Scaling};

/// The lower alarm is at this share of the target.
const LOW: f64 = 0.9;

/// See the module's documentation.
#[derive(Debug)]
pub struct Autoscaler {
    scaling: Scaling,
    min: u32,
    max: u32,
    /// The last datapoints of each policy, the newest last; emptied where one is missing.
    histories: Vec<VecDeque<f64>>,
    /// Policies whose upper alarm is on.
    high: Vec<bool>,
}

/// One datapoint of a policy's metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The mean over the instances that it is of.
    pub mean: f64,
    /// How many those are.
    pub instances: u32,
}

/// How the group is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fleet {
    /// Instances that there should be.
    pub desired: u32,
    /// Instances that start or warm up.
    pub warming: u32,
    /// Instances that are leaving.
    pub leaving: u32,
}

/// What comes of a datapoint.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Outcome {
    /// Upper alarms that went on just now.
    pub alarms: Vec<String>,
    /// Another size of the group.
    pub resize: Option<Resize>,
}

/// Another size of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resize {
    /// Instances until now.
    pub from: u32,
    /// Instances from now on.
    pub to: u32,
    /// Which policy wants it, and what it saw.
    pub why: String,
}

impl Autoscaler {
    /// Between `min` and `max` instances.
    pub fn new(scaling: Scaling, min: u32, max: u32) -> Self {
        let policies = scaling.policies.len();
        Self {
            scaling,
            min,
            max: max.max(min),
            histories: vec![VecDeque::new(); policies],
            high: vec![false; policies],
        }
    }

    /// What follows from one more datapoint of each policy, in their order; `None` where there is none.
    pub fn observe(&mut self, readings: &[Option<Reading>], fleet: Fleet) -> Outcome {
        let mut outcome = Outcome::default();
        let (mut grow, mut shrink, mut all_low) = (None, None, true);
        for (number, policy) in self.scaling.policies.iter().enumerate() {
            let reading = readings.get(number).copied().flatten();
            let history = &mut self.histories[number];
            remember(history, reading, self.scaling.low_datapoints);
            let mut of_late = history.iter().rev();
            let high = history.len() >= self.scaling.high_datapoints
                && of_late
                    .by_ref()
                    .take(self.scaling.high_datapoints)
                    .all(|value| *value > policy.target);
            let low = history.len() >= self.scaling.low_datapoints
                && history.iter().all(|value| *value < policy.target * LOW);
            let was_high = std::mem::replace(&mut self.high[number], high);
            all_low &= low;
            let Some(reading) = reading else { continue };
            let wish = (wanted(reading, policy.target), policy.says(reading));
            if high && !was_high {
                outcome.alarms.push(wish.1.clone());
            }
            if high {
                keep_larger(&mut grow, wish);
            } else if low {
                keep_larger(&mut shrink, wish);
            }
        }
        outcome.resize = match grow {
            Some(grow) => self.grow(grow, fleet),
            None if all_low => shrink.and_then(|shrink| self.shrink(shrink, fleet)),
            None => None,
        };
        outcome
    }

    fn grow(&self, (wanted, why): Wish, fleet: Fleet) -> Option<Resize> {
        let (from, to) = (fleet.desired, wanted.min(self.max));
        (to > from).then_some(Resize { from, to, why })
    }

    fn shrink(&self, (wanted, why): Wish, fleet: Fleet) -> Option<Resize> {
        let from = fleet.desired;
        let settled = fleet.warming == 0 && fleet.leaving == 0;
        (settled && wanted.max(self.min) < from).then(|| Resize {
            from,
            to: from - 1,
            why,
        })
    }
}

/// How many instances a policy would have, and why.
type Wish = (u32, String);

impl Policy {
    fn says(&self, reading: Reading) -> String {
        format!(
            "{}: {} is {:.0} in the mean of {}, target {:.0}",
            self.name, self.metric, reading.mean, reading.instances, self.target
        )
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor => f.write_str("processor use (%)"),
            Self::Node(name) => f.write_str(name),
        }
    }
}

/// Instances that bring the mean to the target.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of instances, small and not negative"
)]
fn wanted(reading: Reading, target: f64) -> u32 {
    (f64::from(reading.instances) * reading.mean / target)
        .ceil()
        .clamp(0.0, 10_000.0) as u32
}

/// Of equal ones the first has the word.
fn keep_larger(best: &mut Option<Wish>, wish: Wish) {
    if best.as_ref().is_none_or(|best| wish.0 > best.0) {
        *best = Some(wish);
    }
}

fn remember(history: &mut VecDeque<f64>, reading: Option<Reading>, most: usize) {
    match reading {
        Some(reading) => history.push_back(reading.mean),
        None => history.clear(),
    }
    while history.len() > most {
        history.pop_front();
    }
}

#[cfg(test)]
mod tests;
