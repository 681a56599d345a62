//! What the size of a group follows.

use std::time::Duration;

/// Target tracking, as auto-scaling groups do it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    /// Each keeps one metric near its target. The group grows when one of them says so, and shrinks when all do.
    pub policies: Vec<Policy>,
    /// From one datapoint of a metric to the next.
    pub period: Duration,
    /// Datapoints in a row above the target that let the group grow.
    pub high_datapoints: usize,
    /// Datapoints in a row clearly below the target that let the group shrink.
    pub low_datapoints: usize,
    /// A new instance is not counted in the group's processor use for so long, and meanwhile the group does not shrink.
    pub warmup: Duration,
    /// From when an instance runs to when the load balancer's opinion of it counts; that it no longer runs counts at once.
    pub grace: Duration,
    /// Zones that instances are spread over.
    pub zones: u32,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// As the stack calls it.
    pub name: String,
    /// What it looks at.
    pub metric: Metric,
    /// What the mean over the instances should be.
    pub target: f64,
}

/// What a policy looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// Processor use, in percent of what one instance has.
    Processor,
    /// A metric of the node's own.
    Node(String),
}

impl Scaling {
    /// The target of the policy that looks at this metric.
    pub fn target(&self, metric: &Metric) -> Option<f64> {
        let found = self.policies.iter().find(|policy| policy.metric == *metric);
        found.map(|policy| policy.target)
    }

    /// Another target for the policies that look at this metric.
    pub fn set_target(&mut self, metric: &Metric, target: f64) {
        for policy in &mut self.policies {
            if policy.metric == *metric {
                policy.target = target;
            }
        }
    }
}
