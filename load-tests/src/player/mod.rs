//! Plays a share of a scenario: the people, what they do, and when.
//!
//! Everything is done at times that are drawn beforehand and do not depend on how fast anybody answers (open loop): a
//! server that stalls has all that waits behind it counted from when it was due. Several players, each in a process of its
//! own, share a scenario; each draws for itself, and together they are what was asked for.

mod arrivals;
mod credentials;
mod member;
mod pages;
mod people;
mod standing;
mod talk;

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    client::persistent::Targets,
    journal::Journal,
    measure::{Meter, Sample},
    scenario::Scenario,
};
pub(crate) use credentials::{token_in_turn, tokens};
use people::People;

pub use arrivals::Arrivals;
pub use standing::Standing;

/// What a player has to know before it begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// The scenario; of it the player uses all but the phases, which come as [`Part`]s.
    pub scenario: Scenario,
    /// Which player this is, from 0.
    pub player: u32,
    /// How many there are.
    pub players: u32,
    /// How many rooms there are.
    pub rooms: u32,
    /// Begins the names of rooms.
    pub prefix: String,
    /// Addresses of nodes, like `ws://host:port/ws`.
    pub targets: Vec<String>,
    /// A file with a credential on each line, which people use in turn; without it they are guests.
    pub tokens: Option<PathBuf>,
    /// A PEM file of authorities to trust beside the known ones, for `wss://`.
    pub authorities: Option<PathBuf>,
    /// Folder to write a journal into, for the checker.
    pub journal: Option<PathBuf>,
    /// Decides all that is left to chance.
    pub seed: u64,
}

/// What is to be done from now on, by all players together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// How long it takes, in seconds.
    pub seconds: f64,
    /// Connections at its end.
    pub connections: u32,
    /// Things that are written a second, at its beginning and at its end.
    pub rate: (f64, f64),
    /// Share of the connections that are cut off at its beginning.
    pub cut: f64,
}

/// Plays a share of a scenario. Everything ends when it is dropped.
pub struct Player {
    people: Arc<People>,
    meter: Meter,
    journal: Journal,
    /// What goes on in the present part; ends by itself at the part's end.
    tasks: JoinSet<()>,
    rng: Rng,
}

impl Player {
    /// Nobody is there yet.
    ///
    /// # Errors
    /// When the journal cannot be made.
    pub fn new(setup: Setup) -> anyhow::Result<Self> {
        let journal = match &setup.journal {
            Some(folder) => Journal::create(folder, &format!("clients-{}", setup.player + 1))?,
            None => Journal::none(),
        };
        let meter = Meter::default();
        let mut rng = Rng::with_seed(setup.seed.wrapping_add(setup.player.into()));
        let people = People::new(setup, meter.clone(), journal.clone(), rng.fork())?;
        Ok(Self {
            people: Arc::new(people),
            meter,
            journal,
            tasks: JoinSet::new(),
            rng,
        })
    }

    /// Begins the next part, when the last one's time is over.
    pub fn play(&mut self, part: Part) {
        while self.tasks.try_join_next().is_some() {}
        let begun = Instant::now();
        self.meter.part(begun.into_std());
        if part.cut > 0.0 {
            self.people.cut(part.cut);
        }
        let people = Arc::clone(&self.people);
        self.tasks
            .spawn(async move { people.become_so_many(part, begun).await });
        for activity in talk::activities(&self.people, part, begun, &mut self.rng) {
            self.tasks.spawn(activity);
        }
    }

    /// Begins a part behind the last one, in which nothing is due: people stay where they are.
    pub fn settle(&mut self) {
        self.meter.part(Instant::now().into_std());
    }

    /// Ends the present part before its time; people stay where they are.
    pub fn stop(&mut self) {
        self.tasks.abort_all();
    }

    /// What was measured since the last time.
    pub fn sample(&self) -> Sample {
        self.meter.take()
    }

    /// How everybody is.
    pub fn standing(&self) -> Standing {
        self.people.standing()
    }

    /// Lets everybody leave in good order; how many did not in time.
    ///
    /// # Errors
    /// When the journal could not be written.
    pub async fn finish(&mut self, patience: Duration) -> anyhow::Result<u64> {
        self.stop();
        let left = self.people.leave(patience).await;
        self.journal.close()?;
        Ok(left)
    }
}

impl Setup {
    /// This player's share of so many.
    fn share(&self, of: u32) -> u32 {
        of / self.players + u32::from(self.player < of % self.players)
    }
}

/// Whether all of these are on this machine; only then people have addresses of their own.
pub(crate) fn all_local(targets: &[String]) -> bool {
    let local = |target: &String| {
        let host = target.split("://").nth(1).unwrap_or_default();
        host.starts_with("127.") || host.starts_with("localhost:") || host.starts_with("localhost/")
    };
    targets.iter().all(local)
}

/// An address of its own for each hundred people: a node limits new connections by address.
fn source_address(number: u32) -> IpAddr {
    crate::chaos::source_address(number)
}

fn targets_of(setup: &Setup) -> anyhow::Result<Targets> {
    anyhow::ensure!(!setup.targets.is_empty(), "there is no address to connect to");
    let targets: Vec<Arc<str>> = setup.targets.iter().map(|url| url.as_str().into()).collect();
    Ok(Targets::new(targets))
}
