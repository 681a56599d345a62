//! All people of a player: they come, they are cut off, they leave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use parking_lot::Mutex;
use protocol::{Codec, JoinFrom, RoomName};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{
    Part, Setup, Standing, all_local, member::Member, pages::Pages, source_address, targets_of,
    token_in_turn, tokens,
};
use crate::{
    client::{
        Tls,
        persistent::{Order, Persistent, Plan, Targets},
    },
    journal::{Clock, Journal},
    measure::Meter,
    scenario::Codecs,
};

/// How often it is looked whether somebody has left.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct People {
    pub(super) setup: Setup,
    pub(super) pages: Pages,
    targets: Targets,
    /// Credentials, if people are no guests.
    tokens: Vec<String>,
    /// If any of them needs it.
    tls: Option<Tls>,
    local: bool,
    rooms: Vec<RoomName>,
    members: Mutex<Vec<Arc<Member>>>,
    /// Those that were told to leave and have not yet.
    leaving: Mutex<Vec<Arc<Member>>>,
    /// People that there ever were.
    ever: AtomicU32,
    /// Things that were written.
    said: AtomicU32,
    meter: Meter,
    journal: Journal,
    rng: Mutex<Rng>,
    /// One change of the number of people after the other.
    door: tokio::sync::Mutex<()>,
}

impl People {
    pub(super) fn new(setup: Setup, meter: Meter, journal: Journal, rng: Rng) -> anyhow::Result<Self> {
        let rooms = (0..setup.rooms.max(1)).map(|room| format!("{}-{room}", setup.prefix).parse());
        let authorities = setup.authorities.as_deref();
        let secured = setup.targets.iter().any(|url| url.starts_with("wss:"));
        let tls = secured.then(|| Tls::new(authorities)).transpose()?;
        Ok(Self {
            targets: targets_of(&setup)?,
            tls,
            tokens: tokens(setup.tokens.as_deref())?,
            local: all_local(&setup.targets),
            rooms: rooms.collect::<Result<_, _>>()?,
            pages: Pages::new(&setup.targets, authorities, meter.clone())?,
            members: Mutex::default(),
            leaving: Mutex::default(),
            ever: AtomicU32::new(0),
            said: AtomicU32::new(0),
            meter,
            journal,
            rng: Mutex::new(rng),
            door: tokio::sync::Mutex::default(),
            setup,
        })
    }

    pub(super) fn clock(&self) -> Clock {
        self.journal.clock()
    }

    /// A number that nothing else has that was written here.
    pub(super) fn next_said(&self) -> u32 {
        self.said.fetch_add(1, Ordering::Relaxed)
    }

    /// Somebody who is awake, by chance.
    pub(super) fn somebody(&self, rng: &mut Rng) -> Option<Arc<Member>> {
        let members = self.members.lock();
        let found = (0..8).find_map(|_| rng.choice(&*members).filter(|member| member.is_awake()));
        found.cloned()
    }

    /// Lets people come or go, evenly over the part.
    pub(super) async fn become_so_many(&self, part: Part, begun: Instant) {
        let _door = self.door.lock().await;
        let wanted = self.setup.share(part.connections);
        let now = u32::try_from(self.members.lock().len()).unwrap_or(u32::MAX);
        let change = wanted.abs_diff(now);
        for step in 0..change {
            let due =
                begun + Duration::from_secs_f64(part.seconds * f64::from(step) / f64::from(change.max(1)));
            sleep_until(due).await;
            if wanted > now {
                self.add(due);
            } else {
                self.remove();
            }
        }
    }

    fn add(&self, due: Instant) {
        let setup = &self.setup;
        // Numbers are shared out in turn; with them rooms, codecs and addresses.
        let number = self.ever.fetch_add(1, Ordering::Relaxed) * setup.players + setup.player + 1;
        let rooms = self.rooms_of(number);
        let newest = JoinFrom::Newest(setup.scenario.rooms.newest);
        let clients = &setup.scenario.clients;
        let plan = Plan {
            codec: match clients.codec {
                Codecs::Json => Codec::Json,
                Codecs::Msgpack => Codec::Msgpack,
                // Both in every room, whatever the number of rooms.
                Codecs::Both => Codec::ALL[(number as usize / self.rooms.len()) % 2],
            },
            from: self.local.then(|| source_address(number)),
            rooms: rooms.iter().map(|room| (room.clone(), newest)).collect(),
            ping_after: Duration::from_secs_f64(clients.ping_after_seconds),
            silence: Duration::from_secs_f64(clients.silence_seconds),
            backoff: Duration::from_secs_f64(clients.backoff_seconds),
            connect_timeout: Duration::from_secs_f64(clients.silence_seconds),
            token: token_in_turn(&self.tokens, number),
            tls: self.tls.clone(),
            due: Some(due),
            meter: Some(self.meter.clone()),
            seed: setup.seed.wrapping_add(number.into()),
            ..Plan::new(self.targets.clone(), &format!("person {number}"))
        };
        let client = Persistent::start(plan, self.journal.scribe(number));
        self.members
            .lock()
            .push(Arc::new(Member::new(number, client, rooms)));
    }

    /// Rooms that lie far apart, so that neighbours in one are strangers in another.
    fn rooms_of(&self, number: u32) -> Box<[RoomName]> {
        let all = self.rooms.len();
        let each = (self.setup.scenario.rooms.of_each as usize).min(all);
        let mut places: Vec<usize> = Vec::with_capacity(each);
        let mut place = number as usize % all;
        for turn in 0..each {
            // Of any two people few share more than one room.
            let step = 1 + (number as usize / all + 7 * turn) % all;
            while places.contains(&place) {
                place = (place + 1) % all;
            }
            places.push(place);
            place = (place + step) % all;
        }
        places.iter().map(|place| self.rooms[*place].clone()).collect()
    }

    fn remove(&self) {
        let Some(member) = self.members.lock().pop() else {
            return;
        };
        member.client.order(Order::Retire);
        let mut leaving = self.leaving.lock();
        leaving.retain(|member| !member.client.is_over());
        leaving.push(member);
    }

    /// Cuts off a share of all, at once.
    pub(super) fn cut(&self, share: f64) {
        let mut rng = self.rng.lock();
        for member in self.members.lock().iter() {
            if rng.f64() < share {
                member.client.order(Order::Cut);
            }
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        for member in self.members.lock().iter() {
            let status = member.client.status();
            let positions = member.rooms.iter().map(|room| (room, status.position(room)));
            let mut inside = status.node().is_some();
            for (room, position) in positions {
                match position {
                    Some(position) => standing.has(room.as_str(), position),
                    None => inside = false,
                }
            }
            standing.people += 1;
            standing.outside += u64::from(!inside);
            standing.unanswered += status.unanswered() as u64;
        }
        standing
    }

    /// Lets all leave; how many had not when the time was over.
    pub(super) async fn leave(&self, patience: Duration) -> u64 {
        let until = Instant::now() + patience;
        let mut leaving = std::mem::take(&mut *self.leaving.lock());
        let members = std::mem::take(&mut *self.members.lock());
        for member in members {
            member.client.order(Order::Finish);
            leaving.push(member);
        }
        let all_over = async {
            while !leaving.is_empty() {
                leaving.retain(|member| !member.client.is_over());
                sleep(LOOK).await;
            }
        };
        let _ = timeout_at(until, all_over).await;
        leaving.len() as u64
    }
}
