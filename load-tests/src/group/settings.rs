//! The numbers that a group of nodes behind a load balancer goes by.

use std::time::Duration;

use super::scaling::Scaling;
use crate::lab::HaProxyOptions;

/// Nodes ask each client to move within a second, however short their drain is.
const SHORTEST_DRAIN: Duration = Duration::from_secs(4);
/// What is left of the deregistration delay behind a drain that takes all of its time, for ending.
const SHORTEST_ROOM: Duration = Duration::from_secs(1);

/// Numbers of the stack, as they are at rest. [`GroupSettings::scaled`] makes waits shorter, so that minutes pass in
/// seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSettings {
    /// Nodes at rest.
    pub min: u32,
    /// Nodes under load.
    pub max: u32,
    /// Instances that an update replaces at once.
    pub batch: u32,
    /// What the load balancer asks for.
    pub health_path: String,
    /// From one check of a target to the next.
    pub check_interval: Duration,
    /// Checks in a row that make a target healthy.
    pub healthy_threshold: u32,
    /// Checks in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
    /// How long a target that was taken out may keep its connections.
    pub deregistration_delay: Duration,
    /// How long the load balancer goes on sending new connections to a target that was taken out: all of its own nodes must
    /// have heard of it first.
    pub deregistration_lag: Duration,
    /// From when an instance is taken out to when its node is told to leave. Above the lag, or newcomers are turned away by
    /// a node that leaves.
    pub pause_before_drain: Duration,
    /// A connection on which nothing is said for so long is cut.
    pub idle_timeout: Duration,
    /// `drain.seconds` of the nodes.
    pub drain: Duration,
    /// From when a machine runs to when its node is started: the system, the image.
    pub boot: Duration,
    /// What its size follows.
    pub scaling: Scaling,
}

impl GroupSettings {
    /// The same, `factor` times as fast. Not the idle timeout: what it is held against, the nodes' pings, is not either. And a
    /// drain is given four seconds at least, and a second to end in.
    #[must_use]
    pub fn scaled(mut self, factor: u32) -> Self {
        let factor = factor.max(1);
        // Negative in a stack whose nodes are cut off while they drain.
        let room = self
            .deregistration_delay
            .checked_sub(self.pause_before_drain + self.drain);
        for wait in [
            &mut self.check_interval,
            &mut self.deregistration_delay,
            &mut self.deregistration_lag,
            &mut self.pause_before_drain,
            &mut self.boot,
            &mut self.scaling.period,
            &mut self.scaling.warmup,
            &mut self.scaling.grace,
        ] {
            *wait /= factor;
        }
        // The configuration of nodes knows whole seconds.
        self.drain = Duration::from_secs(self.drain.as_secs() / u64::from(factor)).max(SHORTEST_DRAIN);
        if let Some(room) = room {
            let room = (room / factor).max(SHORTEST_ROOM);
            self.deregistration_delay = self.pause_before_drain + self.drain + room;
        }
        self
    }

    pub(super) fn balancer(&self) -> HaProxyOptions {
        HaProxyOptions {
            health_path: self.health_path.clone(),
            check_interval: self.check_interval,
            healthy_threshold: self.healthy_threshold,
            unhealthy_threshold: self.unhealthy_threshold,
            idle_timeout: self.idle_timeout,
            max_connections: 4_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack() -> GroupSettings {
        GroupSettings::of_stack().unwrap()
    }

    #[test]
    fn what_fits_into_the_delay_fits_into_a_shorter_one() {
        for factor in [1, 2, 10, 30] {
            let settings = stack().scaled(factor);
            let needed = settings.pause_before_drain + settings.drain;
            assert!(needed < settings.deregistration_delay, "{factor}: {settings:?}");
        }
        assert_eq!(stack().scaled(1), stack());
    }

    #[test]
    fn a_delay_that_is_too_short_stays_too_short() {
        let wrong = GroupSettings {
            deregistration_delay: Duration::from_secs(30),
            ..stack()
        };
        let settings = wrong.scaled(10);
        assert!(settings.pause_before_drain + settings.drain > settings.deregistration_delay);
    }
}
