//! Values of a scenario that are checked while they are read: so that an error names the line.

use std::fmt::Display;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::phase::{Phase, Rate};

/// A week.
const MOST_SECONDS: f64 = 7.0 * 24.0 * 3600.0;

fn within<'de, D: Deserializer<'de>, T: Deserialize<'de> + PartialOrd + Display + Copy>(
    deserializer: D,
    least: T,
    most: T,
) -> Result<T, D::Error> {
    let value = T::deserialize(deserializer)?;
    if value >= least && value <= most {
        Ok(value)
    } else {
        Err(D::Error::custom(format!("{value} is not from {least} to {most}")))
    }
}

pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, 0.01, MOST_SECONDS)
}

pub(super) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, 0.0, 1.0)
}

pub(super) fn optional_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    // A key that is there has a value; through MessagePack it may have none.
    match Option::<f64>::deserialize(deserializer)? {
        Some(value) if (0.0..=1.0).contains(&value) => Ok(Some(value)),
        Some(value) => Err(D::Error::custom(format!("{value} is not from 0 to 1"))),
        None => Ok(None),
    }
}

pub(super) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, 0.0, 1000.0)
}

pub(super) fn factor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, 1.0, 100.0)
}

pub(super) fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(deserializer, 1, 10_000_000)
}

pub(super) fn rooms_of_each<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    within(deserializer, 1, 200)
}

pub(super) fn text_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    // The wire's limit, less the stamp.
    within(deserializer, 0, 16_000)
}

pub(super) fn phases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Phase>, D::Error> {
    let phases = Vec::<Phase>::deserialize(deserializer)?;
    if phases.is_empty() {
        return Err(D::Error::custom("there is no [[phase]]"));
    }
    if let Some(phase) = phases
        .iter()
        .find(|phase| phase.repeat.is_some() && !phase.measured)
    {
        let name = &phase.name;
        return Err(D::Error::custom(format!(
            "phase `{name}` is repeated until a goal breaks: it has to be `measured`"
        )));
    }
    Ok(phases)
}

/// As a rate is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number, or [from, to]; 0 to 1000000 a second")]
pub(super) enum NumberOrRange {
    Number(PerSecond),
    Range(PerSecond, PerSecond),
    Both { from: PerSecond, to: PerSecond },
}

/// From 0 to a million.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct PerSecond(#[serde(deserialize_with = "per_second")] f64);

fn per_second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, 0.0, 1_000_000.0)
}

impl From<NumberOrRange> for Rate {
    fn from(written: NumberOrRange) -> Self {
        match written {
            NumberOrRange::Number(rate) => Self::constant(rate.0),
            NumberOrRange::Range(from, to) | NumberOrRange::Both { from, to } => Self {
                from: from.0,
                to: to.0,
            },
        }
    }
}
