//! People who talk while the nodes under them are replaced.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use protocol::{Codec, JoinFrom, RoomName};
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::persistent::{Order, Persistent, Plan, Targets, What, Write},
    journal::Journal,
};

/// How long coming in may take, and getting the last answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether something has come so far.
const LOOK: Duration = Duration::from_millis(20);

/// How many people, and what they do.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    pub(super) people: u32,
    pub(super) rooms: u32,
    pub(super) messages_per_second: u32,
    pub(super) seed: u64,
}

/// The people, talking until they are told to stop.
pub(super) struct People {
    journal: Journal,
    all: Arc<Vec<Persistent>>,
    /// The room of each.
    places: Arc<[RoomName]>,
    closing: CancellationToken,
    talking: JoinHandle<u64>,
}

impl People {
    /// Lets them come in; returns when all are in their rooms and talk.
    pub(super) async fn start(crowd: &Crowd, address: SocketAddr, folder: &Path) -> anyhow::Result<Self> {
        let journal = Journal::create(folder, "people")?;
        let targets = Targets::new([format!("ws://{address}/ws")]);
        let rooms = (0..crowd.rooms).map(|room| format!("room-{room}").parse());
        let rooms: Vec<RoomName> = rooms.collect::<Result<_, _>>()?;
        let mut all = Vec::new();
        let mut places = Vec::new();
        for number in 0..crowd.people {
            let room = rooms[number as usize % rooms.len()].clone();
            let mut plan = Plan::new(targets.clone(), &format!("person {number}"));
            plan.rooms = vec![(room.clone(), JoinFrom::After(0))];
            plan.codec = Codec::ALL[number as usize % Codec::ALL.len()];
            plan.seed = crowd.seed.wrapping_add(number.into());
            all.push(Persistent::start(plan, journal.scribe(number + 1)));
            places.push(room);
        }
        let begun = Instant::now();
        while !all
            .iter()
            .zip(&places)
            .all(|(person, room)| person.status().position(room).is_some())
        {
            anyhow::ensure!(
                begun.elapsed() < PATIENCE,
                "not everybody is in their room after {PATIENCE:?}"
            );
            sleep(LOOK).await;
        }
        let closing = CancellationToken::new();
        let (all, places) = (Arc::new(all), Arc::from(places));
        let period = Duration::from_secs(1) / crowd.messages_per_second.max(1);
        let talking = tokio::spawn(talk(
            Arc::clone(&all),
            Arc::clone(&places),
            period,
            closing.clone(),
        ));
        Ok(Self {
            journal,
            all,
            places,
            closing,
            talking,
        })
    }

    /// How many are on each node; those between nodes under `""`.
    pub(super) fn by_node(&self) -> BTreeMap<String, usize> {
        let mut by_node = BTreeMap::new();
        for person in &*self.all {
            let node = person
                .status()
                .node()
                .map_or_else(String::new, |node| node.to_string());
            *by_node.entry(node).or_insert(0) += 1;
        }
        by_node
    }

    /// Lets them stop talking, and leave when everything is answered and shown. How many messages there were, and how many of
    /// them have no answer.
    pub(super) async fn finish(self) -> anyhow::Result<(u64, usize)> {
        self.closing.cancel();
        let messages = self.talking.await?;
        let unanswered = || {
            self.all
                .iter()
                .map(|person| person.status().unanswered())
                .sum::<usize>()
        };
        let begun = Instant::now();
        while (unanswered() > 0 || !all_have_all(&self.all, &self.places)) && begun.elapsed() < PATIENCE {
            sleep(LOOK).await;
        }
        let left = unanswered();
        for person in Arc::into_inner(self.all).unwrap_or_default() {
            person.finish(PATIENCE).await;
        }
        self.journal.close()?;
        Ok((messages, left))
    }
}

/// Whether the people of each room have the same last event of it.
fn all_have_all(all: &[Persistent], places: &[RoomName]) -> bool {
    let mut last = BTreeMap::new();
    let positions = all.iter().zip(places);
    let mut positions = positions.map(|(person, room)| (room, person.status().position(room)));
    positions.all(|(room, position)| *last.entry(room).or_insert(position) == position)
}

/// Lets one after the other say something until `closing`; how many messages it was.
async fn talk(
    all: Arc<Vec<Persistent>>,
    places: Arc<[RoomName]>,
    period: Duration,
    closing: CancellationToken,
) -> u64 {
    let mut ticks = interval(period);
    // As many as there were to be: the load does not shrink where the service is slow.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut said = 0u64;
    while closing.run_until_cancelled(ticks.tick()).await.is_some() {
        let who = usize::try_from(said).unwrap_or_default() % all.len();
        all[who].order(Order::Write(Write {
            room: places[who].clone(),
            cid: format!("c{said}").into(),
            what: What::Say(format!("message {said}").into()),
            due: Instant::now(),
        }));
        said += 1;
    }
    said
}
