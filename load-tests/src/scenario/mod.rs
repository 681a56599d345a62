//! Scenarios: who takes part in a run, what they do, and what has to hold. As TOML files; some are built in.
//!
//! A scenario says nothing of where it is played. It is made of phases, each with connections and messages a second over
//! time, so that the same file drives a laptop's node and a fleet behind a load balancer. docs/load.md describes the form.

mod built_in;
mod checked;
mod fit;
mod list;
mod phase;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use built_in::COMMANDS;
pub use built_in::{BUILT_IN, built_in};
pub use fit::Fit;
pub use list::list;
pub use phase::{Phase, Rate, Repeat};

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called, in reports too.
    pub name: String,
    /// What it does and what for, in a sentence.
    pub description: String,
    /// Where people are.
    #[serde(default)]
    pub rooms: Rooms,
    /// How they connect.
    #[serde(default)]
    pub clients: Clients,
    /// What they do.
    #[serde(default)]
    pub talk: Talk,
    /// What has to hold.
    #[serde(default)]
    pub goals: Goals,
    /// What happens, one after the other.
    #[serde(rename = "phase", deserialize_with = "checked::phases")]
    pub phases: Vec<Phase>,
}

/// Where people are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rooms {
    /// How many rooms there are; 0: as many as `people_in_each` asks for.
    pub count: u32,
    /// How many people are in a room when all are there, in the mean.
    #[serde(deserialize_with = "checked::at_least_one")]
    pub people_in_each: u32,
    /// In how many rooms a person is, at most 200.
    #[serde(deserialize_with = "checked::rooms_of_each")]
    pub of_each: u32,
    /// The room's newest events that a person is shown on coming in.
    pub newest: u64,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            count: 0,
            people_in_each: 20,
            of_each: 1,
            newest: 50,
        }
    }
}

/// How people connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clients {
    /// How frames are written.
    pub codec: Codecs,
    /// How long nothing may be heard before a client asks its node for a sign of life, in seconds.
    #[serde(deserialize_with = "checked::seconds")]
    pub ping_after_seconds: f64,
    /// How long an answer may be waited for until a connection is given up, in seconds.
    #[serde(deserialize_with = "checked::seconds")]
    pub silence_seconds: f64,
    /// The longest pause between two attempts to connect, in seconds.
    #[serde(deserialize_with = "checked::seconds")]
    pub backoff_seconds: f64,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            codec: Codecs::Both,
            ping_after_seconds: 20.0,
            silence_seconds: 10.0,
            backoff_seconds: 4.0,
        }
    }
}

/// Which codecs are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the codecs'")]
pub enum Codecs {
    Json,
    Msgpack,
    /// Half of the people each.
    Both,
}

/// What people do. Shares are of all that is written, the others are so many for each thing that is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Talk {
    /// The longest text, in bytes, about; the mean is half of it.
    #[serde(deserialize_with = "checked::text_bytes")]
    pub text_bytes: usize,
    /// Share of edits.
    #[serde(deserialize_with = "checked::share")]
    pub edits: f64,
    /// Share of deletions.
    #[serde(deserialize_with = "checked::share")]
    pub deletes: f64,
    /// Share of reactions.
    #[serde(deserialize_with = "checked::share")]
    pub reactions: f64,
    /// Share of uploads: a log or a file, put into the room as a text of 16,000 bytes.
    #[serde(deserialize_with = "checked::share")]
    pub uploads: f64,
    /// Notices that somebody types, for each thing that is written.
    #[serde(deserialize_with = "checked::amount")]
    pub typing: f64,
    /// Read markers, for each thing that is written.
    #[serde(deserialize_with = "checked::amount")]
    pub reads: f64,
    /// Pages of history that are read over HTTP, for each thing that is written.
    #[serde(deserialize_with = "checked::amount")]
    pub history: f64,
    /// Share of the people whose device sleeps now and then: cut off without a word, away, back with `resume`.
    #[serde(deserialize_with = "checked::share")]
    pub phones: f64,
    /// How long such a device is awake, in seconds, in the mean.
    #[serde(deserialize_with = "checked::seconds")]
    pub awake_seconds: f64,
    /// How long it sleeps, in seconds, in the mean.
    #[serde(deserialize_with = "checked::seconds")]
    pub asleep_seconds: f64,
}

impl Default for Talk {
    fn default() -> Self {
        Self {
            text_bytes: 180,
            edits: 0.0,
            deletes: 0.0,
            reactions: 0.0,
            uploads: 0.0,
            typing: 0.0,
            reads: 0.0,
            history: 0.0,
            phones: 0.0,
            awake_seconds: 60.0,
            asleep_seconds: 10.0,
        }
    }
}

/// What has to hold, in every phase that is `measured`. What is not given need not.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Goals {
    /// The 99th percentile from when a message was due to when somebody is shown it, in milliseconds.
    pub delivery_p99_ms: Option<f64>,
    /// The 99th percentile from when a command was due to its `ok`, in milliseconds.
    pub ack_p99_ms: Option<f64>,
    /// The 99th percentile from when a connection was due to its `welcome`, in milliseconds.
    pub connect_p99_ms: Option<f64>,
    /// The 99th percentile from when a connection was lost to the next one's `welcome`, in milliseconds.
    pub reconnect_p99_ms: Option<f64>,
    /// The smallest share of what is offered in a phase that is committed in it.
    #[serde(deserialize_with = "checked::optional_share")]
    pub committed_share: Option<f64>,
}

impl Scenario {
    /// A built-in one by name, else a file.
    ///
    /// # Errors
    /// When there is neither, or the file is no scenario; with the line.
    pub fn find(name_or_file: &str) -> anyhow::Result<Self> {
        if let Some((_, command)) = COMMANDS.iter().find(|(name, _)| *name == name_or_file) {
            anyhow::bail!("`{name_or_file}` is a command of its own: {command}");
        }
        match built_in(name_or_file) {
            Some(text) => Self::parse(text),
            None => Self::read(Path::new(name_or_file)),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no scenario; with the line.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "`{}` is no built-in scenario ({}) and cannot be read as a file",
                path.display(),
                BUILT_IN.map(|(name, _)| name).join(", ")
            )
        })?;
        Self::parse(&text).with_context(|| format!("{} is no scenario", path.display()))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// When it is no scenario; with the line. Also when it repeats a phase that nothing can end: it would always pass.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        let repeated = scenario.phases.iter().find(|phase| phase.repeat.is_some());
        if let (Some(phase), true) = (repeated, scenario.goals == Goals::default()) {
            anyhow::bail!(
                "phase `{}` is repeated until a goal breaks, and there is none in [goals]",
                phase.name
            );
        }
        Ok(scenario)
    }

    /// The most connections that there are at a time, repetitions aside.
    pub fn most_connections(&self) -> u32 {
        let all = self.phases.iter().filter_map(|phase| phase.connections);
        all.max().unwrap_or(0)
    }

    /// The most connections that there may be at a time, if every phase is repeated as often as it may be.
    pub fn peak_connections(&self) -> u32 {
        let mut connections = 0;
        let mut peak = 0;
        for phase in &self.phases {
            let before = connections;
            for played in (0..).map_while(|time| phase.played(time, before)) {
                connections = played.connections.unwrap_or(connections);
                peak = peak.max(connections);
            }
        }
        peak
    }

    /// How many rooms there are.
    pub fn room_count(&self) -> u32 {
        if self.rooms.count > 0 {
            return self.rooms.count;
        }
        let places = self.most_connections().saturating_mul(self.rooms.of_each);
        places.div_ceil(self.rooms.people_in_each).max(1)
    }

    /// How long it takes if nothing is repeated, in seconds.
    pub fn seconds(&self) -> f64 {
        self.phases.iter().map(|phase| phase.seconds).sum()
    }

    /// Events that are shown to people over the whole run, about; if nothing is repeated.
    pub fn deliveries(&self) -> f64 {
        let mut connections = 0.0;
        let mut sum = 0.0;
        for phase in &self.phases {
            let then = phase.connections.map_or(connections, f64::from);
            let places = f64::midpoint(connections, then) * f64::from(self.rooms.of_each);
            let in_each = places / f64::from(self.room_count());
            sum += phase.messages_per_second.mean() * phase.seconds * in_each;
            connections = then;
        }
        sum
    }
}
