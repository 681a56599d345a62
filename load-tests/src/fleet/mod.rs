//! The players of a run, in this process or in several, and one parent that tells all of them what to do.
//!
//! A process may have so many files open: [`CONNECTIONS_OF_A_PROCESS`] connections stay below the usual 20,000. Beyond that,
//! or where several cores are to be used by clients that share nothing, players are child processes of this program; they
//! are told what to do over standard input and answer on standard output.

mod hand;
mod process;
mod wire;
mod work;

use std::{path::PathBuf, time::Duration};

use futures_util::future::join_all;

use crate::{
    measure::Sample,
    player::{Part, Setup, Standing},
    scenario::Scenario,
};
use hand::Hand;
use wire::{Answer, Order};

pub use process::{COMMAND as WORKER, worker};

/// Connections that one process has at most.
pub const CONNECTIONS_OF_A_PROCESS: u32 = 15_000;
/// How long a player may take to answer: it is a busy process, not a slow network.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How a fleet is made.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// What is played.
    pub scenario: Scenario,
    /// Addresses of nodes.
    pub targets: Vec<String>,
    /// Processes of players; 0: one player, in this process.
    pub processes: u32,
    /// The program that those processes run; by default this one.
    pub program: Option<PathBuf>,
    /// A file with a credential on each line, which people use in turn; without it they are guests.
    pub tokens: Option<PathBuf>,
    /// A PEM file of authorities to trust beside the known ones, for `wss://`.
    pub authorities: Option<PathBuf>,
    /// Folder for journals.
    pub journal: Option<PathBuf>,
    /// Begins the names of rooms.
    pub prefix: String,
    /// Decides all that is left to chance.
    pub seed: u64,
}

/// The players. They end when this is dropped.
pub struct Fleet {
    hands: Vec<Hand>,
}

impl Fleet {
    /// Starts all players; nobody connects yet.
    ///
    /// # Errors
    /// When a process cannot be started, or a player cannot begin.
    pub async fn start(options: &FleetOptions) -> anyhow::Result<Self> {
        let players = options.processes.max(1);
        let mut hands = Vec::new();
        for player in 0..players {
            let setup = Setup {
                scenario: options.scenario.clone(),
                player,
                players,
                rooms: options.scenario.room_count(),
                prefix: options.prefix.clone(),
                targets: options.targets.clone(),
                tokens: options.tokens.clone(),
                authorities: options.authorities.clone(),
                journal: options.journal.clone(),
                seed: options.seed,
            };
            let name = format!("clients {}", player + 1);
            let mut hand = if options.processes == 0 {
                Hand::here(name)
            } else {
                Hand::process(name, options.program.as_deref())?
            };
            hand.begin(setup).await?;
            hands.push(hand);
        }
        Ok(Self { hands })
    }

    /// Begins the next part.
    pub async fn play(&mut self, part: Part) {
        self.tell(&Order::Play(part)).await;
    }

    /// Ends the present part before its time.
    pub async fn stop(&mut self) {
        self.tell(&Order::Stop).await;
    }

    /// Nothing is due any more: from now on all wait for what was.
    pub async fn settle(&mut self) {
        self.tell(&Order::Settle).await;
    }

    /// What all measured since the last time, with the players' names.
    pub async fn sample(&mut self) -> Vec<(String, Sample)> {
        let answers = self.ask(&Order::Sample, ANSWER_WITHIN).await;
        let samples = answers.into_iter().filter_map(|(name, answer)| match answer {
            Answer::Sample(sample) => Some((name, *sample)),
            _ => None,
        });
        samples.collect()
    }

    /// How everybody is.
    pub async fn standing(&mut self) -> Standing {
        let mut standing = Standing::default();
        for (_, answer) in self.ask(&Order::Stand, ANSWER_WITHIN).await {
            if let Answer::Standing(of_one) = answer {
                standing.add(of_one);
            }
        }
        standing
    }

    /// Lets everybody leave in good order; how many did not within `patience`.
    pub async fn finish(&mut self, patience: Duration) -> u64 {
        let order = Order::Finish {
            patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        };
        let answers = self.ask(&order, patience + ANSWER_WITHIN).await;
        let left = answers.iter().map(|(_, answer)| match answer {
            Answer::Left(left) => *left,
            _ => 0,
        });
        left.sum()
    }

    /// Players that are no more, and why, in words.
    pub fn troubles(&self) -> Vec<String> {
        self.hands.iter().filter_map(Hand::trouble).collect()
    }

    /// The processes of players, by id; none where they play in this one.
    pub fn processes(&self) -> Vec<u32> {
        self.hands.iter().filter_map(Hand::pid).collect()
    }

    async fn tell(&mut self, order: &Order) {
        join_all(self.hands.iter_mut().map(|hand| hand.tell(order))).await;
    }

    async fn ask(&mut self, order: &Order, within: Duration) -> Vec<(String, Answer)> {
        let asked = self.hands.iter_mut().map(|hand| hand.ask(order, within));
        join_all(asked).await.into_iter().flatten().collect()
    }
}
