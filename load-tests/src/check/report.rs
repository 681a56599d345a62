//! What a check found, for programs and for people.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{
    facts::Counts,
    violation::Findings,
    waits::{Distribution, Longest, Phase, Wait, WaitsOf},
};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How much there was.
    pub counts: Counts,
    /// Whether the store was read.
    pub with_store: bool,
    /// What was wrong.
    pub findings: Findings,
    /// How long people waited.
    pub waits: Vec<WaitsOf>,
    /// The longest wait of each sort.
    pub longest: BTreeMap<Wait, Longest>,
}

impl Report {
    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.counts.is_empty()
    }

    /// The waits of one sort around one kind of fault; `""` for the whole run and for its quiet times.
    pub fn waits_of(&self, fault: &str, phase: Phase, wait: Wait) -> Option<Distribution> {
        let mut all = self.waits.iter();
        let found = all.find(|of| of.fault == fault && of.phase == phase && of.wait == wait);
        found.map(|of| of.distribution)
    }
}

impl Wait {
    fn words(self) -> &'static str {
        match self {
            Self::Ack => "send to ack",
            Self::Delivery => "commit to delivery",
            Self::CrossNode => "  to another node",
            Self::Back => "cut off to caught up",
        }
    }
}

impl Phase {
    fn words(self) -> &'static str {
        match self {
            Self::All => "whole run",
            Self::Quiet => "quiet times",
            Self::During => "during",
            Self::After => "after",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(f, "clients           {}", counts.clients)?;
        writeln!(
            f,
            "commands          {} sent ({} times again), {} acked, {} refused, {} pushed back",
            counts.sent, counts.repeated, counts.acked, counts.refused, counts.pushed_back
        )?;
        let store = if self.with_store {
            ""
        } else {
            " (the store was not read)"
        };
        writeln!(
            f,
            "events            {} committed{store}, {} delivered",
            counts.committed, counts.delivered
        )?;
        writeln!(
            f,
            "connections       {} made, {} lost, {} attempts failed, {} requests to move",
            counts.connections, counts.lost_connections, counts.unreachable, counts.goaways
        )?;
        writeln!(
            f,
            "rooms             {} resumed, {} gaps, {} resets",
            counts.resumes, counts.gaps, counts.resets
        )?;
        writeln!(
            f,
            "\n{:<20} {:<12} {:<21} {:>8} {:>9} {:>9} {:>9}",
            "fault", "when", "wait (ms)", "count", "p50", "p99", "max"
        )?;
        for of in &self.waits {
            let Distribution {
                count,
                p50_ms,
                p99_ms,
                max_ms,
            } = of.distribution;
            writeln!(
                f,
                "{:<20} {:<12} {:<21} {count:>8} {p50_ms:>9.1} {p99_ms:>9.1} {max_ms:>9.1}",
                of.fault,
                of.phase.words(),
                of.wait.words()
            )?;
        }
        writeln!(f)?;
        for (wait, longest) in &self.longest {
            writeln!(
                f,
                "longest {:<21} {:>7} ms  {}",
                wait.words().trim(),
                longest.ms,
                longest.what
            )?;
        }
        writeln!(f)?;
        self.findings.fmt(f)
    }
}
