//! What of two runs is held against each other.

use super::same::{is_step, repeated};
use crate::{
    measure::{Counts, Latencies},
    report::{PhaseReport, Report},
};

/// A run, but for the steps of repeated phases that the other one did not come to: they had other load.
pub(super) struct Part<'a> {
    pub(super) report: &'a Report,
    pub(super) seconds: f64,
    pub(super) counts: Counts,
    pub(super) latencies: Latencies,
}

impl<'a> Part<'a> {
    pub(super) fn of(report: &'a Report, other: &Report) -> Self {
        let steps = repeated(report);
        let is_common = |phase: &&PhaseReport| {
            !is_step(&phase.name, &steps) || other.phases.iter().any(|of| of.name == phase.name)
        };
        let common: Vec<&PhaseReport> = report.phases.iter().filter(is_common).collect();
        if common.len() == report.phases.len() {
            return Self {
                report,
                seconds: report.run.seconds,
                counts: report.counts,
                latencies: report.latencies.clone(),
            };
        }
        let mut part = Self {
            report,
            seconds: 0.0,
            counts: Counts::default(),
            latencies: Latencies::default(),
        };
        for phase in common {
            part.seconds += phase.to_s - phase.from_s;
            part.counts += phase.counts;
            part.latencies.add(&phase.latencies);
        }
        part
    }
}
