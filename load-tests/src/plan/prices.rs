//! What machines can, and what they cost.

use std::{fs, path::Path};

use anyhow::Context;
use serde::Deserialize;

/// Those that come with this program.
const SHIPPED: &str = include_str!("../../plan/prices.toml");

/// Hours of a month.
pub(super) const HOURS: f64 = 730.0;

/// In dollars.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// As of when.
    pub date: String,
    /// Of which region.
    pub region: String,
    /// How sure they are.
    pub source: String,
    /// For nodes.
    pub instance: Vec<Machine>,
    /// For Postgres, without a standby.
    pub postgres: Vec<Machine>,
    /// For a shard of Redis, one node of it.
    pub redis: Vec<Machine>,
    /// Of all else.
    pub other: Other,
}

/// A kind of machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Processors.
    pub vcpu: f64,
    /// Memory, in GiB.
    pub memory_gib: f64,
    /// Dollars an hour.
    pub hour: f64,
    /// Whether it does more than its processors say for as long as it has credits. For small plans only.
    #[serde(default)]
    pub burstable: bool,
}

/// What is paid for by hour, month or amount.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Other {
    /// A public IPv4 address, an hour.
    pub address_hour: f64,
    /// A node's disk, a month.
    pub node_disk_month: f64,
    /// A node's metrics every minute, a month.
    pub node_metrics_month: f64,
    /// A load balancer, an hour.
    pub balancer_hour: f64,
    /// A capacity unit of it, an hour.
    pub capacity_unit_hour: f64,
    /// A GiB of Postgres' disk, a month.
    pub postgres_gib_month: f64,
    /// Of Postgres' disk: above 3,000, an operation a second, a month.
    pub postgres_iops_month: f64,
    /// What watches a Postgres, a month.
    pub postgres_monitoring_month: f64,
    /// A GiB of Postgres' disk in AWS Backup, a month.
    pub backup_gib_month: f64,
    /// The key and the secrets, a month.
    pub secrets_month: f64,
    /// Metrics of our own and alarms, a month.
    pub metrics_and_alarms_month: f64,
    /// Logs, a month: those of the stack, and a node's.
    pub logs_month: f64,
    /// See above.
    pub logs_of_a_node_month: f64,
    /// A GB to the internet: up to 10 TB a month, up to 50, up to 150, above.
    pub out_gb: [f64; 4],
    /// A GB between zones, both directions together.
    pub between_zones_gb: f64,
}

impl Prices {
    /// From a file, or those that come with this program.
    ///
    /// # Errors
    /// When the file cannot be read, or is none.
    pub fn find(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return toml::from_str(SHIPPED).context("the prices that come with the program");
        };
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is no list of prices", file.display()))
    }
}

impl Other {
    /// Of so many GB to the internet in a month.
    pub fn out(&self, gb: f64) -> f64 {
        let bounds = [0.0, 10_240.0, 51_200.0, 153_600.0, f64::INFINITY];
        let steps = bounds.windows(2).zip(self.out_gb);
        steps
            .map(|(bound, price)| (gb.min(bound[1]) - bound[0]).max(0.0) * price)
            .sum()
    }
}
