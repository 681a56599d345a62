//! What came of it, for programs and for people.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::probes::Probed;
use crate::check::{self, Wait};

/// What came of an update.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// Whether instances were replaced with care.
    pub careful: bool,
    /// Nodes that were replaced.
    pub replaced: usize,
    /// Of them: ended by themselves, and in good order.
    pub ended_in_order: usize,
    /// From the first to the last, in seconds.
    pub update_seconds: f64,
    /// Somebody who looked all the time.
    pub probed: Probed,
    /// Messages that people said.
    pub messages: u64,
    /// Of them: without an answer in the end.
    pub unanswered: usize,
    /// What the people saw, held against the store.
    pub checked: check::Report,
    /// People on each node, right behind the update.
    pub people_then: BTreeMap<String, usize>,
    /// The same when it was even, or patience was over.
    pub people_at_last: BTreeMap<String, usize>,
    /// How long it took to become even, in seconds; absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub even_after_seconds: Option<f64>,
}

impl Report {
    /// Messages that were lost: never answered, or found in no log, or not shown to everybody.
    pub fn lost(&self) -> u64 {
        let counts = &self.checked.findings.counts;
        self.unanswered as u64 + counts.values().sum::<u64>()
    }

    /// From when somebody's connection was lost to when they were back and had everything, at the longest.
    pub fn longest_reconnect(&self) -> Duration {
        let longest = self.checked.longest.get(&Wait::Back);
        Duration::from_millis(longest.map_or(0, |longest| longest.ms))
    }

    /// Whether nobody noticed: no probe failed, no message was lost, every node ended in good order.
    pub fn passed(&self) -> bool {
        self.probed.failed == 0
            && self.lost() == 0
            && self.checked.is_clean()
            && self.ended_in_order == self.replaced
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manner = if self.careful {
            "with drain and signals"
        } else {
            "without drain and signals"
        };
        writeln!(
            f,
            "rolling update of {} nodes {manner}, {:.1} s; {} ended by themselves in good order",
            self.replaced, self.update_seconds, self.ended_in_order
        )?;
        let Probed {
            all,
            failed,
            longest_outage_ms,
            reasons,
        } = &self.probed;
        writeln!(
            f,
            "probes             {failed} of {all} failed, longest outage {longest_outage_ms} ms"
        )?;
        for reason in reasons {
            writeln!(f, "                   {reason}")?;
        }
        let counts = &self.checked.counts;
        writeln!(
            f,
            "messages           {} lost of {}, {} sent again",
            self.lost(),
            self.messages,
            counts.repeated
        )?;
        writeln!(
            f,
            "connections        {} lost, {} asked to move, longest reconnect {:.2} s",
            counts.lost_connections,
            counts.goaways,
            self.longest_reconnect().as_secs_f64()
        )?;
        writeln!(f, "people by node     {:?} right behind it", self.people_then)?;
        match self.even_after_seconds {
            Some(seconds) => writeln!(
                f,
                "                   {:?}, even after {seconds:.1} s",
                self.people_at_last
            )?,
            None => writeln!(
                f,
                "                   {:?} at last, not even",
                self.people_at_last
            )?,
        }
        if !self.checked.is_clean() {
            writeln!(f, "{}", self.checked.findings)?;
        }
        write!(
            f,
            "{}",
            if self.passed() {
                "passed: nobody noticed"
            } else {
                "FAILED"
            }
        )
    }
}
