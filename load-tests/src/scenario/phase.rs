//! A part of a scenario.

use serde::{Deserialize, Serialize};

use super::checked;

/// What happens for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// What it is called in reports.
    pub name: String,
    /// How long it takes.
    #[serde(deserialize_with = "checked::seconds")]
    pub seconds: f64,
    /// How many connections there are at its end; they come, or go, evenly over the phase. By default as many as before.
    #[serde(default)]
    pub connections: Option<u32>,
    /// Things that all people together write a second; one number, or `[from, to]`, evenly over the phase.
    #[serde(default)]
    pub messages_per_second: Rate,
    /// Share of the connections that are cut off at its beginning, all at once; they come back.
    #[serde(default, deserialize_with = "checked::share")]
    pub cut: f64,
    /// Whether the scenario's goals have to hold in it.
    #[serde(default)]
    pub measured: bool,
    /// Play it again and again, with more each time, until a goal breaks.
    #[serde(default)]
    pub repeat: Option<Repeat>,
}

/// Things a second.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "checked::NumberOrRange")]
pub struct Rate {
    /// At the phase's beginning.
    pub from: f64,
    /// At its end.
    pub to: f64,
}

/// How a phase is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How often it is played at most.
    pub at_most: u32,
    /// What messages are multiplied by from one time to the next.
    #[serde(default = "one", deserialize_with = "checked::factor")]
    pub messages: f64,
    /// What connections are multiplied by from one time to the next.
    #[serde(default = "one", deserialize_with = "checked::factor")]
    pub connections: f64,
}

fn one() -> f64 {
    1.0
}

impl Rate {
    /// Always the same.
    pub fn constant(rate: f64) -> Self {
        Self { from: rate, to: rate }
    }

    /// Between beginning and end.
    pub fn mean(self) -> f64 {
        f64::midpoint(self.from, self.to)
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            from: self.from * factor,
            to: self.to * factor,
        }
    }
}

impl Phase {
    /// How it is played for the `time`-th time, counted from 0; `connections` are there before it. `None`: it is not.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded, and a count"
    )]
    pub fn played(&self, time: u32, connections: u32) -> Option<Self> {
        let Some(repeat) = self.repeat else {
            return (time == 0).then(|| self.clone());
        };
        if time >= repeat.at_most {
            return None;
        }
        let power = i32::try_from(time).unwrap_or(i32::MAX);
        let first = self.connections.unwrap_or(connections);
        let more = f64::from(first) * repeat.connections.powi(power);
        // `connections` are those before the first time.
        let connections = (repeat.connections > 1.0).then(|| more.round() as u32);
        Some(Self {
            name: format!("{} {}", self.name, time + 1),
            connections: connections.or(self.connections),
            messages_per_second: self.messages_per_second.times(repeat.messages.powi(power)),
            ..self.clone()
        })
    }
}
