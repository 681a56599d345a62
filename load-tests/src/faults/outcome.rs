//! What a scenario came to.

use std::fmt;

use serde::Serialize;

use crate::{chaos::Verdict, check::Report};

/// What a scenario came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What was done, at which size.
    pub scenario: String,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What the checker found.
    pub check: Report,
    /// What went wrong beside.
    pub verdict: Verdict,
}

/// A number that was measured, and what it has to be.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Of what.
    pub name: String,
    /// The number; `None`: there was nothing to measure, which is a failure where there is a limit.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: &'static str,
    /// In words; `None`: it may be anything.
    pub limit: Option<String>,
    /// Whether it is as it has to be.
    pub ok: bool,
}

impl Figure {
    pub(super) fn below(name: &str, value: Option<f64>, unit: &'static str, limit: f64) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit,
            limit: Some(format!("below {limit:.1}")),
            ok: value.is_some_and(|value| value < limit),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "for people, who read three digits")]
    pub(super) fn above(name: &str, value: u64, unit: &'static str, least: u64) -> Self {
        Self::at_least(name, value as f64, unit, least as f64)
    }

    pub(super) fn at_least(name: &str, value: f64, unit: &'static str, least: f64) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value),
            unit,
            limit: Some(format!("at least {least}")),
            ok: value >= least,
        }
    }

    pub(super) fn note(name: &str, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value),
            unit,
            limit: None,
            ok: true,
        }
    }
}

impl Outcome {
    /// Whether every figure is as it has to be, and no promise was broken.
    pub fn passed(&self) -> bool {
        self.verdict.passed() && self.figures.iter().all(|figure| figure.ok)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}\n\n{}\n", self.scenario, self.check)?;
        for trouble in &self.verdict.troubles {
            writeln!(f, "TROUBLE           {trouble}")?;
        }
        for figure in &self.figures {
            let value = figure
                .value
                .map_or_else(|| "nothing measured".to_owned(), |value| format!("{value:.2}"));
            let limit = figure.limit.as_deref().unwrap_or_default();
            let mark = if figure.ok { "" } else { "  NOT REACHED" };
            writeln!(
                f,
                "{:<36} {value:>10} {:<5} {limit}{mark}",
                figure.name, figure.unit
            )?;
        }
        writeln!(
            f,
            "verdict           {}",
            if self.passed() { "passed" } else { "FAILED" }
        )
    }
}
