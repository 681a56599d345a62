//! The people of a rehearsal: they come and go in waves, and talk as much as they are told to.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::{
    chaos::{Crowd, CrowdOptions, Member, Talk, Topic},
    client::{
        Tls,
        persistent::{Order, Targets},
    },
    journal::Journal,
    measure::Meter,
    stage::Witness,
};

/// How long coming in may take, and getting the last answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether something has come so far.
const LOOK: Duration = Duration::from_millis(50);
/// From when somebody has left a room to when the node's answer to that is there for sure.
const ANSWERED: Duration = Duration::from_secs(1);

/// The most that come in a second where all have one address: below what a node takes by default
/// (`limits.handshakes_per_second_per_address`, 200), as there are newcomers beside them, and people who are asked to move.
const ARRIVALS_PER_SECOND: u32 = 150;

/// Who people are and where they go.
pub(crate) struct Crew {
    pub(crate) targets: Targets,
    pub(crate) journal: Journal,
    pub(crate) meter: Meter,
    /// How many rooms they are in, and what the names of those begin with.
    pub(crate) rooms: u32,
    pub(crate) prefix: String,
    /// Credentials that they use in turn; without any they are guests.
    pub(crate) tokens: Arc<[String]>,
    /// For `wss://`.
    pub(crate) tls: Option<Tls>,
    /// Whether the targets are on this machine.
    pub(crate) local: bool,
    pub(crate) seed: u64,
}

/// See the module's documentation.
pub(crate) struct People {
    crew: Crew,
    rate: f64,
    waves: Vec<Wave>,
    /// How many there ever were.
    numbered: u32,
}

struct Wave {
    crowd: Arc<Crowd>,
    talk: Option<Talk>,
}

impl People {
    /// Nobody yet, and nothing to say.
    pub(crate) fn new(crew: Crew) -> Self {
        Self {
            crew,
            rate: 0.0,
            waves: Vec::new(),
            numbered: 0,
        }
    }

    /// How many are there.
    pub(crate) fn count(&self) -> u32 {
        let all = self
            .waves
            .iter()
            .map(|wave| wave.crowd.members().len())
            .sum::<usize>();
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// So many more come, within about this time or as fast as one address may, and talk as the others do; returns when all are in their rooms.
    ///
    /// # Errors
    /// When they do not come in.
    pub(crate) async fn come(&mut self, count: u32, within: Duration) -> anyhow::Result<()> {
        if count == 0 {
            return Ok(());
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of people in a second"
        )]
        let begin_per_second = (f64::from(count) / within.as_secs_f64().max(0.1)).ceil() as u32;
        let begin_per_second = paced(begin_per_second, self.crew.local);
        let options = CrowdOptions {
            clients: count,
            rooms: self.crew.rooms,
            begin_per_second,
            prefix: self.crew.prefix.clone(),
            first: self.numbered + 1,
            meter: Some(self.crew.meter.clone()),
            tokens: Arc::clone(&self.crew.tokens),
            tls: self.crew.tls.clone(),
            own_addresses: self.crew.local,
            seed: self.crew.seed,
            ..CrowdOptions::default()
        };
        self.numbered += count;
        let crowd = Crowd::gather(&self.crew.targets, &self.crew.journal, &options, PATIENCE).await?;
        self.waves.push(Wave {
            crowd: Arc::new(crowd),
            talk: None,
        });
        self.talk(self.rate).await;
        Ok(())
    }

    /// From now on all together say so much a second.
    pub(crate) async fn talk(&mut self, rate: f64) {
        self.rate = rate;
        self.hush().await;
        let all = f64::from(self.count()).max(1.0);
        for wave in &mut self.waves {
            let share = f64::from(u32::try_from(wave.crowd.members().len()).unwrap_or(u32::MAX)) / all;
            wave.talk = (rate * share > 0.0).then(|| {
                wave.crowd.talk(Topic {
                    rate: rate * share,
                    mixed: true,
                    text_bytes: 180,
                })
            });
        }
    }

    async fn hush(&mut self) {
        let talks = self.waves.iter_mut().filter_map(|wave| wave.talk.take());
        join_all(talks.map(Talk::stop)).await;
    }

    /// All but the first wave leave: they get their answers, leave their rooms and end.
    ///
    /// # Errors
    /// When they do not come so far.
    pub(crate) async fn go(&mut self) -> anyhow::Result<()> {
        let rate = self.rate;
        self.hush().await;
        let going = self.waves.split_off(self.waves.len().min(1));
        self.talk(rate).await;
        for wave in &going {
            wave.answered().await?;
            wave.leave().await?;
        }
        sleep(ANSWERED).await;
        for wave in going {
            wave.end().await?;
        }
        Ok(())
    }

    /// Nobody talks any more; returns when everybody has all that is stored.
    ///
    /// # Errors
    /// When that takes longer than `patience`; says who lacks what.
    pub(crate) async fn settle(&mut self, witness: &Witness, patience: Duration) -> Result<(), String> {
        self.hush().await;
        let settled = self.waves.iter().map(|wave| wave.crowd.settle(witness, patience));
        join_all(settled).await.into_iter().collect()
    }

    /// Nobody talks any more; returns when everything is answered and everybody has as much as the others in the room.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub(crate) async fn agree(&mut self, patience: Duration) -> Result<(), String> {
        self.hush().await;
        let begun = Instant::now();
        loop {
            let lacking = self.lacking();
            if lacking == 0 {
                return Ok(());
            }
            if begun.elapsed() > patience {
                return Err(format!(
                    "after {patience:?} {lacking} people wait for an answer, or lack what others in the room have"
                ));
            }
            sleep(LOOK).await;
        }
    }

    fn lacking(&self) -> usize {
        let all = || self.waves.iter().flat_map(|wave| wave.crowd.members());
        let mut heads = std::collections::HashMap::new();
        for member in all() {
            for room in &member.rooms {
                let head = heads.entry(room).or_insert(None);
                *head = (*head).max(member.client.status().position(room));
            }
        }
        let lacks = |member: &&Member| {
            let status = member.client.status();
            let behind = |room| status.position(room) != heads.get(room).copied().flatten();
            status.unanswered() > 0 || member.rooms.iter().any(behind)
        };
        all().filter(lacks).count()
    }

    /// Everybody ends, and the journal is on disk.
    ///
    /// # Errors
    /// When somebody does not end in good order, or the journal could not be written.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        self.hush().await;
        let ends = self.waves.into_iter().map(Wave::end);
        let ended = join_all(ends)
            .await
            .into_iter()
            .collect::<anyhow::Result<Vec<()>>>();
        self.crew.journal.close()?;
        ended?;
        Ok(())
    }
}

/// How many come in a second. On this machine each hundred have an address of their own.
fn paced(wanted: u32, local: bool) -> u32 {
    if local {
        wanted
    } else {
        wanted.min(ARRIVALS_PER_SECOND)
    }
}

impl Wave {
    async fn answered(&self) -> anyhow::Result<()> {
        self.until("wait for answers", |member| {
            member.client.status().unanswered() == 0
        })
        .await
    }

    async fn leave(&self) -> anyhow::Result<()> {
        for member in self.crowd.members() {
            for room in &member.rooms {
                member.client.order(Order::Leave(room.clone()));
            }
        }
        self.until("are still in their rooms", |member| {
            let status = member.client.status();
            member.rooms.iter().all(|room| status.position(room).is_none())
        })
        .await
    }

    async fn until(&self, otherwise: &str, is_so: impl Fn(&Member) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let not_yet = self
                .crowd
                .members()
                .iter()
                .filter(|member| !is_so(member))
                .count();
            if not_yet == 0 {
                return Ok(());
            }
            anyhow::ensure!(
                begun.elapsed() < PATIENCE,
                "{not_yet} people {otherwise} after {PATIENCE:?}"
            );
            sleep(LOOK).await;
        }
    }

    async fn end(self) -> anyhow::Result<()> {
        let crowd = Arc::into_inner(self.crowd).context("somebody still talks")?;
        let unfinished = crowd.finish().await;
        anyhow::ensure!(unfinished == 0, "{unfinished} people did not end in good order");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_one_address_no_more_come_than_a_node_takes() {
        assert_eq!((paced(400, false), paced(100, false)), (ARRIVALS_PER_SECOND, 100));
        assert_eq!(paced(400, true), 400);
    }
}
