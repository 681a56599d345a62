//! What can be said on the command line.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Value, json};

use crate::scenario::Scenario;

/// Where a scenario is played, and how large.
#[derive(Debug, Clone, clap::Args)]
pub struct PlayArgs {
    /// Where to connect, like wss://chat.example.com/ws; may be given several times. Without it a node of its own is started.
    #[arg(long = "target", value_name = "URL")]
    pub targets: Vec<String>,
    /// File with a credential on each line (session tokens, API keys, JWTs), which people use in turn, where guests are not
    /// let in.
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// PEM file of authorities to trust beside the known ones, for wss:// targets with a certificate of your own.
    #[arg(long = "ca", value_name = "FILE")]
    pub authorities: Option<PathBuf>,
    /// Nodes of its own that are started without --target; more than one share a private Postgres and Redis.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16), conflicts_with = "targets")]
    pub nodes: u32,
    /// Give a single node of its own Postgres and Redis too.
    #[arg(long, conflicts_with = "targets")]
    pub postgres: bool,
    /// Configuration of the nodes that are started, like limits.presence_people=50; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "targets")]
    pub settings: Vec<String>,
    /// The node's program; by default the one that HUBBUB_TEST_NODE names, or `node` beside this program, which is built
    /// first where cargo runs this.
    #[arg(long, conflicts_with = "targets")]
    pub node: Option<PathBuf>,
    /// The most connections; all else in the scenario keeps its proportion.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub connections: Option<u32>,
    /// The highest rate of things that all people together write.
    #[arg(long, value_parser = messages_per_second)]
    pub messages_per_second: Option<f64>,
    /// How long all phases take together.
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<f64>,
    /// Processes that the clients are spread over; by default as few as do, 15,000 connections each.
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=64))]
    pub processes: Option<u32>,
    /// Whether clients write down all that they see, and it is checked afterwards event by event; by default in small runs.
    #[arg(long, value_enum, default_value_t = Checking::Auto)]
    pub check: Checking,
    /// The store behind the targets, postgres://… or sqlite://…, for the check; it is only read.
    #[arg(long, value_name = "URL", requires = "targets")]
    pub store: Option<String>,
    /// Folder for the report; by default a new one in load-report/.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Print lines instead of a live view.
    #[arg(long)]
    pub plain: bool,
    /// The program that processes of clients run; by default this one.
    #[arg(long, hide = true)]
    pub program: Option<PathBuf>,
    /// Decides all that is left to chance.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Whether there are journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Checking {
    /// In runs of up to five million deliveries.
    Auto,
    /// In any case.
    Yes,
    /// Not at all.
    No,
}

impl PlayArgs {
    /// Where the report goes.
    pub(super) fn folder(&self, scenario: &str) -> PathBuf {
        let now = chrono::Local::now().format("%Y%m%d-%H%M%S");
        let new = || PathBuf::from("load-report").join(format!("{scenario}-{now}"));
        self.out.clone().unwrap_or_else(new)
    }

    /// Everything that decides what is measured.
    pub(super) fn settings(
        &self,
        scenario: &Scenario,
        seed: u64,
        processes: u32,
        journals: bool,
    ) -> anyhow::Result<BTreeMap<String, Value>> {
        let mut settings = BTreeMap::from([
            ("scenario".to_owned(), serde_json::to_value(scenario)?),
            ("seed".to_owned(), json!(seed)),
            ("client_processes".to_owned(), json!(processes)),
            ("journals".to_owned(), json!(journals)),
            (
                "build".to_owned(),
                json!(if cfg!(debug_assertions) {
                    "debug"
                } else {
                    "release"
                }),
            ),
        ]);
        if self.targets.is_empty() {
            settings.insert("nodes".to_owned(), json!(self.nodes));
            settings.insert("postgres".to_owned(), json!(self.nodes > 1 || self.postgres));
            settings.insert("node_settings".to_owned(), json!(self.settings));
        }
        Ok(settings)
    }
}

fn messages_per_second(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1_000_000.0)
}

/// Up to a week, as a scenario's phases.
fn seconds(text: &str) -> Result<f64, String> {
    within(text, 0.1, 7.0 * 24.0 * 3600.0)
}

/// Neither infinite nor `nan`.
fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(format!("a number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        play: PlayArgs,
    }

    /// What is said to an option that cannot be; `None`: it can.
    fn error(line: &str) -> Option<String> {
        let words = ["load-tests"].into_iter().chain(line.split(' '));
        Line::try_parse_from(words).err().map(|error| error.to_string())
    }

    #[test]
    fn sizes_that_cannot_be_played_are_named() {
        for (option, values, says) in [
            (
                "--seconds",
                &["-5", "nan", "0", "inf", "1e9", "x"][..],
                "a number from 0.1 to 604800",
            ),
            (
                "--messages-per-second",
                &["-1", "nan", "inf", "2000000"],
                "a number from 0 to 1000000",
            ),
            ("--connections", &["0", "-1", "2.5", "10000001"], "invalid value"),
        ] {
            for value in values {
                let error = error(&format!("{option}={value}")).unwrap_or_else(|| panic!("{option}={value}"));
                assert!(error.contains(option) && error.contains(says), "{error}");
            }
        }
        assert_eq!(
            error("--seconds 0.5 --messages-per-second 0 --connections 1 --nodes 2 --set a=b"),
            None
        );
    }

    #[test]
    fn options_without_effect_are_refused() {
        for option in ["--nodes 2", "--postgres", "--set a=b", "--node node"] {
            let error = error(&format!("--target ws://a/ws {option}")).unwrap_or_else(|| panic!("{option}"));
            assert!(error.contains("cannot be used with"), "{error}");
        }
        let store = "--store sqlite:///a.db";
        let error_without = error(store).unwrap_or_default();
        assert!(error_without.contains("--target"), "{error_without}");
        assert_eq!(
            error(&format!("--target ws://a/ws --target ws://b/ws {store}")),
            None
        );
    }
}
