//! Checks of two runs, one by one: a promise that broke is worse whatever the other ones do.

use std::collections::BTreeMap;

use super::Verdict;
use crate::report::Report;

/// A check that did not come to the same in both runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The check's name.
    pub name: String,
    /// Whether it held in the first run; `None`: it was not made.
    pub before: Option<bool>,
    /// Whether it held in the second one.
    pub after: Option<bool>,
}

impl Changed {
    /// What held and does not, or is not looked at any more, is worse.
    pub fn verdict(&self) -> Verdict {
        match (self.before, self.after) {
            (Some(true), _) => Verdict::Worse,
            (Some(false), Some(true)) => Verdict::Better,
            _ => Verdict::Shown,
        }
    }

    /// An outcome as it is shown.
    pub fn text(outcome: Option<bool>) -> &'static str {
        match outcome {
            Some(true) => "held",
            Some(false) => "failed",
            None => "–",
        }
    }
}

/// The checks that changed, by name.
pub fn changed(before: &Report, after: &Report) -> Vec<Changed> {
    let (one, other) = (outcomes(before), outcomes(after));
    let mut names: Vec<&str> = one.keys().chain(other.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| Changed {
            name: name.to_owned(),
            before: one.get(name).copied(),
            after: other.get(name).copied(),
        })
        .filter(|check| check.before != check.after)
        .collect()
}

/// Checks of one name hold together.
fn outcomes(report: &Report) -> BTreeMap<&str, bool> {
    let mut all = BTreeMap::new();
    for check in &report.checks {
        *all.entry(check.name.as_str()).or_insert(true) &= check.passed;
    }
    all
}
