//! What a chaos run found.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::check::{Report, Window};

/// What a chaos run found.
#[derive(Debug, Clone, Serialize)]
pub struct ChaosReport {
    /// Repeats the schedule.
    pub seed: u64,
    /// Nodes, clients, rooms.
    pub nodes: u32,
    /// How many clients.
    pub clients: u32,
    /// How many rooms.
    pub rooms: u32,
    /// How long faults went on, in seconds.
    pub seconds: f64,
    /// How many faults of each kind.
    pub faults: BTreeMap<String, u32>,
    /// Every fault.
    pub windows: Vec<Window>,
    /// What was done to single messages of the bus.
    pub bus: BTreeMap<&'static str, u64>,
    /// What the checker found.
    pub check: Report,
    /// Whether all is well.
    pub verdict: Verdict,
}

/// Whether all is well.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    /// What went wrong beside what the checker found: a node that fell, did not come back or did not leave in good order,
    /// clients that did not converge.
    pub troubles: Vec<String>,
    /// How many promises were broken.
    pub violations: u64,
}

impl Verdict {
    /// Whether all is well.
    pub fn passed(&self) -> bool {
        self.troubles.is_empty() && self.violations == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for trouble in &self.troubles {
            writeln!(f, "TROUBLE           {trouble}")?;
        }
        let word = if self.passed() { "passed" } else { "FAILED" };
        writeln!(f, "verdict           {word}")
    }
}

impl fmt::Display for ChaosReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nchaos             seed {}, {} nodes, {} clients, {} rooms, {:.0} s",
            self.seed, self.nodes, self.clients, self.rooms, self.seconds
        )?;
        let total: u32 = self.faults.values().sum();
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        writeln!(
            f,
            "faults            {total} of {} kinds: {}",
            self.faults.len(),
            faults.join(", ")
        )?;
        let bus: Vec<String> = self
            .bus
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        writeln!(f, "bus messages      {}", bus.join(", "))?;
        write!(f, "{}{}", self.check, self.verdict)
    }
}
