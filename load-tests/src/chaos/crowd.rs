//! The people of a run: many persistent clients in rooms, and the talk that goes on among them.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use futures_util::{StreamExt, stream};
use protocol::{Codec, JoinFrom, RoomName};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    client::{
        Tls,
        persistent::{Order, Persistent, Plan, Targets, What, Write},
    },
    journal::{Clock, Journal},
    measure::{Meter, stamp},
    player::token_in_turn,
    stage::Witness,
};

/// Clients from one local address: a node limits new connections by address.
const CLIENTS_PER_ADDRESS: u32 = 100;
/// How long a client may take to end in good order.
const FINISH_WITHIN: Duration = Duration::from_secs(20);

/// Who takes part.
#[derive(Debug, Clone)]
pub struct CrowdOptions {
    /// How many clients.
    pub clients: u32,
    /// How many rooms; every client is in one, every third in another one too.
    pub rooms: u32,
    /// Clients that begin in a second.
    pub begin_per_second: u32,
    /// How long nothing may be heard before a client asks its node for a sign of life. Short finds a frozen node soon; long
    /// is cheaper.
    pub ping_after: Duration,
    /// The kernel's receive buffer of each client, in bytes; `None`: the system's.
    pub receive_buffer_bytes: Option<u32>,
    /// Where rooms begin for them.
    pub from: JoinFrom,
    /// Begins the names of rooms, so that several crowds do not meet.
    pub prefix: String,
    /// The number of the first client.
    pub first: u32,
    /// Where what they see is added up; what they say is then stamped with when it was due.
    pub meter: Option<Meter>,
    /// Credentials that they use in turn; without any they are guests.
    pub tokens: Arc<[String]>,
    /// For targets that begin with `wss://`.
    pub tls: Option<Tls>,
    /// Whether each hundred connect from an address of their own, which only works with nodes on this machine.
    pub own_addresses: bool,
    /// Decides all that is left to chance.
    pub seed: u64,
}

impl Default for CrowdOptions {
    fn default() -> Self {
        Self {
            clients: 60,
            rooms: 3,
            begin_per_second: 500,
            ping_after: Duration::from_secs(2),
            receive_buffer_bytes: None,
            from: JoinFrom::After(0),
            prefix: "room".to_owned(),
            first: 1,
            meter: None,
            tokens: Arc::default(),
            tls: None,
            own_addresses: true,
            seed: 0,
        }
    }
}

/// The clients, running.
pub struct Crowd {
    members: Vec<Member>,
    said: AtomicU64,
    seed: u64,
    /// What is said is stamped by it.
    stamps: Option<Clock>,
}

/// A client and its rooms.
pub struct Member {
    /// Over the whole run.
    pub number: u32,
    /// The client.
    pub client: Persistent,
    /// Where it is.
    pub rooms: Vec<RoomName>,
}

/// How people talk.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// Things that all together write a second, in the mean.
    pub rate: f64,
    /// Whether there are edits, deletes and reactions among them.
    pub mixed: bool,
    /// The longest text, in bytes, about; the mean is half of it.
    pub text_bytes: usize,
}

/// Talk that goes on until it is stopped.
#[derive(Debug)]
pub struct Talk {
    task: JoinHandle<()>,
    on: Arc<AtomicBool>,
}

impl Crowd {
    /// Starts the clients and returns when all are in their rooms.
    ///
    /// # Errors
    /// When they are not within `patience`.
    pub async fn gather(
        targets: &Targets,
        journal: &Journal,
        options: &CrowdOptions,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut members = Vec::with_capacity(usize::try_from(options.clients)?);
        for place in 0..options.clients {
            let due = begun + Duration::from_secs(1) * place / options.begin_per_second.max(1);
            sleep_until(due).await;
            members.push(member(targets, journal, options, place, due)?);
        }
        let crowd = Self {
            members,
            said: AtomicU64::new(0),
            seed: options.seed,
            stamps: options.meter.as_ref().map(|_| journal.clock()),
        };
        crowd.wait_in_rooms(patience).await?;
        Ok(crowd)
    }

    /// Waits until every client is connected and in its rooms.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub async fn wait_in_rooms(&self, patience: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        let is_in = |member: &Member| {
            let status = member.client.status();
            status.node().is_some() && member.rooms.iter().all(|room| status.position(room).is_some())
        };
        loop {
            let missing: Vec<&Member> = self.members.iter().filter(|member| !is_in(member)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            anyhow::ensure!(
                begun.elapsed() < patience,
                "{} of {} clients are not in their rooms after {patience:?}: {}",
                missing.len(),
                self.members.len(),
                trouble(&missing)
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The clients.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Messages and so on that were ordered so far.
    pub fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    /// Lets people talk, at random times that do not depend on how fast anybody answers.
    pub fn talk(self: &Arc<Self>, topic: Topic) -> Talk {
        let on = Arc::new(AtomicBool::new(true));
        let (crowd, goes_on) = (Arc::clone(self), Arc::clone(&on));
        let task = tokio::spawn(async move {
            let mut rng = Rng::with_seed(crowd.seed ^ crowd.said());
            let mut due = Instant::now();
            while goes_on.load(Ordering::Relaxed) {
                // Poisson arrivals.
                let gap = -(1.0 - rng.f64()).ln() / topic.rate.max(0.001);
                due += Duration::from_secs_f64(gap.min(10.0));
                sleep_until(due).await;
                crowd.say(&mut rng, due, topic);
            }
        });
        Talk { task, on }
    }

    fn say(&self, rng: &mut Rng, due: Instant, topic: Topic) {
        let Some(member) = rng.choice(&self.members) else {
            return;
        };
        let Some(room) = rng.choice(&member.rooms) else {
            return;
        };
        let number = self.said.fetch_add(1, Ordering::Relaxed);
        let padding = "la ".repeat(rng.usize(0..=topic.text_bytes / 3));
        let text = format!("{number} by {}: {padding}", member.number);
        let text: Arc<str> = match &self.stamps {
            Some(clock) => stamp(clock.of(due.into_std()), &text).into(),
            None => text.into(),
        };
        let what = match rng.u32(0..100) {
            0..6 if topic.mixed => What::EditLast(text),
            6..8 if topic.mixed => What::DeleteLast,
            8..16 if topic.mixed => {
                What::React(if rng.bool() { "+1" } else { "♥" }.into(), rng.u32(0..4) > 0)
            }
            _ => What::Say(text),
        };
        member.client.order(Order::Write(Write {
            room: room.clone(),
            cid: format!("{}-{number}", member.number).into(),
            what,
            due,
        }));
    }

    /// Waits until everything is answered and everybody has all that is stored.
    ///
    /// # Errors
    /// When that takes longer than `patience`; says who lacks what.
    pub async fn settle(&self, witness: &Witness, patience: Duration) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let lacking = match witness.heads().await {
                Ok(heads) => self.lacking(&heads),
                Err(error) => vec![format!("the store does not answer: {error:#}")],
            };
            if lacking.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > patience {
                let shown = lacking.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
                return Err(format!(
                    "after {patience:?} {} clients lack something: {shown}",
                    lacking.len()
                ));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn lacking(&self, heads: &std::collections::HashMap<String, u64>) -> Vec<String> {
        let lacks = |member: &Member| {
            let status = member.client.status();
            let unanswered = status.unanswered();
            if unanswered > 0 {
                return Some(format!("client {} waits for {unanswered} answers", member.number));
            }
            let behind = member.rooms.iter().find_map(|room| {
                let head = heads.get(room.as_str()).copied().unwrap_or(0);
                let position = status.position(room);
                (position != Some(head)).then_some((room, position, head))
            });
            behind.map(|(room, position, head)| {
                format!("client {} has {room} up to {position:?} of {head}", member.number)
            })
        };
        self.members.iter().filter_map(lacks).collect()
    }

    /// Lets all clients end in good order. How many did not.
    pub async fn finish(self) -> usize {
        let ends = self
            .members
            .into_iter()
            .map(|member| member.client.finish(FINISH_WITHIN));
        stream::iter(ends)
            .buffer_unordered(usize::MAX)
            .filter(|ended| std::future::ready(!ended))
            .count()
            .await
    }
}

impl Talk {
    /// Ends the talk; what was ordered is still done.
    pub async fn stop(self) {
        self.on.store(false, Ordering::Relaxed);
        let _ = self.task.await;
    }
}

fn member(
    targets: &Targets,
    journal: &Journal,
    options: &CrowdOptions,
    place: u32,
    due: Instant,
) -> anyhow::Result<Member> {
    let number = options.first + place;
    let room = |of: u32| format!("{}-{}", options.prefix, of % options.rooms.max(1)).parse::<RoomName>();
    let mut rooms = vec![room(place)?];
    if options.rooms > 1 && place.is_multiple_of(3) {
        rooms.push(room(place + 1)?);
    }
    let plan = Plan {
        codec: Codec::ALL[usize::try_from(place / options.rooms.max(1) % 2)?],
        from: options.own_addresses.then(|| source_address(number)),
        rooms: rooms.iter().map(|room| (room.clone(), options.from)).collect(),
        ping_after: options.ping_after,
        receive_buffer_bytes: options.receive_buffer_bytes,
        due: Some(due),
        meter: options.meter.clone(),
        token: token_in_turn(&options.tokens, number),
        tls: options.tls.clone(),
        seed: options.seed.wrapping_add(number.into()),
        ..Plan::new(targets.clone(), &format!("client {number}"))
    };
    Ok(Member {
        number,
        client: Persistent::start(plan, journal.scribe(number)),
        rooms,
    })
}

/// Why some of these were refused.
fn trouble(members: &[&Member]) -> String {
    let mut refused = members
        .iter()
        .filter_map(|member| member.client.status().trouble());
    match refused.next_back() {
        Some(why) => format!("the last refusal was \"{why}\""),
        None => "none of them was refused".to_owned(),
    }
}

/// An address of its own for each [`CLIENTS_PER_ADDRESS`] clients.
pub(crate) fn source_address(number: u32) -> IpAddr {
    let block = number / CLIENTS_PER_ADDRESS;
    let [.., high, low] = (block / 250 * 256 + block % 250 + 2).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 0, high, low))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn who_is_not_let_in_says_why() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("ws://{}/ws", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let _ = client.read(&mut [0; 4_096]).await;
                let refusal =
                    b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\nconnection: close\r\n\r\nwait";
                let _ = client.write_all(refusal).await;
            }
        });
        let options = CrowdOptions {
            clients: 2,
            ..CrowdOptions::default()
        };
        let patience = Duration::from_millis(500);
        let gathered = Crowd::gather(&Targets::new([target]), &Journal::none(), &options, patience).await;
        let why = gathered.err().unwrap().to_string();
        assert!(
            why.contains("2 of 2 clients") && why.contains("429") && why.contains("wait"),
            "{why}"
        );
    }
}
