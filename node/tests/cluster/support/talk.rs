//! A room full of clients that talk: over several nodes, in both codecs, and again wherever they can when their node is
//! gone.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use actors::{memory::MemoryStore, ports::Store};
use load_tests::client::{Client, Committed, Error, Options};
use protocol::{Codec, Command, ErrorCode, Event, JoinFrom, RoomName, ServerFrame};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::until;

/// Unanswered messages of one client.
const AT_ONCE: usize = 4;

/// Who talks where, and how much.
pub(crate) struct Talk {
    pub(crate) urls: Vec<String>,
    pub(crate) room: RoomName,
    pub(crate) clients: usize,
    /// Messages of each client.
    pub(crate) messages: usize,
    /// Mean pause of a client between two messages.
    pub(crate) pause: Duration,
    pub(crate) patience: Duration,
    /// What is committed, to be compared with what is shown at the moment that it is shown.
    pub(crate) truth: Option<MemoryStore>,
    acked: AtomicUsize,
}

/// What one client saw.
pub(crate) struct Seen {
    pub(crate) token: String,
    pub(crate) events: Vec<Event>,
    /// By `cid`.
    pub(crate) acked: BTreeMap<String, Committed>,
    pub(crate) reconnects: usize,
    last_ack: Instant,
    complete: Instant,
}

impl Talk {
    pub(crate) fn new(urls: Vec<String>, room: &str, clients: usize, messages: usize) -> Self {
        Self {
            urls,
            room: super::room(room),
            clients,
            messages,
            pause: Duration::from_millis(40),
            patience: Duration::from_secs(25),
            truth: None,
            acked: AtomicUsize::new(0),
        }
    }

    /// How many messages there are in all.
    pub(crate) fn total(&self) -> usize {
        self.clients * self.messages
    }

    /// Waits until this share of all messages is acked.
    pub(crate) async fn acked(&self, share: f64) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a few hundred messages"
        )]
        let enough = (self.total() as f64 * share) as usize;
        let what = format!("{enough} messages are acked");
        until(&what, async || self.acked.load(Relaxed) >= enough).await;
    }

    /// Lets everybody talk, until everybody has seen everything.
    pub(crate) async fn run(self: &Arc<Self>) -> Vec<Seen> {
        let mut talkers = JoinSet::new();
        for number in 0..self.clients {
            let talk = Arc::clone(self);
            talkers.spawn(async move {
                let mut talker = Talker::new(number, Arc::clone(&talk));
                let ended = timeout(talk.patience, talker.run()).await.is_ok();
                assert!(
                    ended,
                    "client {number}: {} of {} events, {} of {} acks, {} reconnects after {:?}",
                    talker.seen.events.len(),
                    talk.total(),
                    talker.seen.acked.len(),
                    talk.messages,
                    talker.seen.reconnects,
                    talk.patience
                );
                talker.seen
            });
        }
        talkers.join_all().await
    }
}

/// Everybody saw the same, in one order, each message once, where its sender was told. Returns what they saw, and how
/// long after the last ack the last one had it.
pub(crate) fn verify(talk: &Talk, seen: &[Seen]) -> (Vec<Event>, Duration) {
    assert_eq!(seen.len(), talk.clients);
    let log = &seen[0].events;
    let seqs: Vec<u64> = log.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=talk.total() as u64).collect::<Vec<_>>());
    for other in seen {
        assert_eq!(other.events, *log, "one order for all");
    }
    let cids: HashSet<&str> = log.iter().filter_map(|event| event.cid.as_deref()).collect();
    assert_eq!(cids.len(), log.len(), "each message once");
    for (cid, committed) in seen.iter().flat_map(|seen| &seen.acked) {
        let index = usize::try_from(committed.seq - 1).unwrap();
        assert_eq!(log[index].cid.as_deref(), Some(cid.as_str()));
        assert_eq!(log[index].at, committed.at);
    }
    let last_ack = seen.iter().map(|seen| seen.last_ack).max().unwrap();
    let complete = seen.iter().map(|seen| seen.complete).max().unwrap();
    (log.clone(), complete.saturating_duration_since(last_ack))
}

struct Talker {
    number: usize,
    talk: Arc<Talk>,
    epoch: String,
    seen: Seen,
}

impl Talker {
    fn new(number: usize, talk: Arc<Talk>) -> Self {
        let now = Instant::now();
        Self {
            number,
            talk,
            epoch: String::new(),
            seen: Seen {
                token: String::new(),
                events: Vec::new(),
                acked: BTreeMap::new(),
                reconnects: 0,
                last_ack: now,
                complete: now,
            },
        }
    }

    async fn run(&mut self) {
        while let Err(error) = self.session().await {
            let lost = match &error {
                Error::Closed(_) | Error::Transport(_) | Error::Upgrade(_) | Error::Timeout { .. } => true,
                // A store that does not answer: for now.
                Error::Refused(refused) => refused.code == ErrorCode::Overloaded,
                _ => false,
            };
            assert!(lost, "client {}: {error}", self.number);
            self.seen.reconnects += 1;
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Goes on, on the next node, where it was.
    async fn session(&mut self) -> Result<(), Error> {
        let mut client = Box::pin(self.connect()).await?;
        let mut queue: Vec<String> = (0..self.talk.messages)
            .map(|n| format!("c{}-{n}", self.number))
            .filter(|cid| !self.seen.acked.contains_key(cid))
            .collect();
        queue.reverse();
        let mut unanswered = HashMap::new();
        let mut due = Instant::now() + self.pause();
        while self.seen.events.len() < self.talk.total() || self.seen.acked.len() < self.talk.messages {
            tokio::select! {
                () = sleep_until(due), if !queue.is_empty() && unanswered.len() < AT_ONCE => {
                    due = Instant::now() + self.pause();
                    if let Some(cid) = queue.pop() {
                        let id = client.post(self.message(&cid)).await?;
                        unanswered.insert(id, cid);
                    }
                }
                frame = client.next() => match frame? {
                    ServerFrame::Error(refused) => {
                        let retry = matches!(refused.code, ErrorCode::Overloaded | ErrorCode::RateLimited);
                        assert!(retry && refused.retry_after_ms.is_some(), "{refused:?}");
                        queue.extend(refused.id.and_then(|id| unanswered.remove(&id)));
                    }
                    ServerFrame::Ok(done) => {
                        let cid = done.id.and_then(|id| unanswered.remove(&id)).expect("an answer to a message");
                        self.acked(cid, Committed { seq: done.seq.unwrap(), at: done.at.unwrap() });
                    }
                    frame => self.take(frame).await,
                },
            }
        }
        self.seen.complete = Instant::now();
        for frame in super::so_far(&mut client).await {
            self.take(frame).await;
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<Client, Error> {
        let talk = Arc::clone(&self.talk);
        let url = &talk.urls[(self.number + self.seen.reconnects) % talk.urls.len()];
        let codec = if self.number.is_multiple_of(2) {
            Codec::Json
        } else {
            Codec::Msgpack
        };
        let options = Options::new(url).codec(codec).timeout(Duration::from_secs(5));
        let position = self.seen.events.len() as u64;
        let mut client = if self.seen.token.is_empty() {
            let client = Client::connect(&options.guest(&format!("Talker {}", self.number))).await?;
            self.seen.token = super::token(&client);
            self.epoch = client.welcome()?.epoch.to_string();
            client
        } else {
            let positions = [(talk.room.to_string(), position)];
            let options = options.token(&self.seen.token).resume(&self.epoch, &positions);
            Client::connect(&options).await?
        };
        let rooms = client.welcome()?.rooms.clone().unwrap_or_default();
        if let Some(resumed) = rooms.get(talk.room.as_str()) {
            assert_eq!(resumed.reset, None);
            return Ok(client);
        }
        while let Err(error) = client.join(&talk.room, JoinFrom::After(position)).await {
            let refused = error
                .refused()
                .filter(|refused| refused.code == ErrorCode::Overloaded);
            let Some(after_ms) = refused.and_then(|refused| refused.retry_after_ms) else {
                return Err(error);
            };
            sleep(Duration::from_millis(after_ms)).await;
        }
        Ok(client)
    }

    fn message(&self, cid: &str) -> Command {
        Command::Send {
            room: self.talk.room.clone(),
            cid: cid.into(),
            text: format!("text of {cid}").into(),
            reply_to: None,
        }
    }

    fn acked(&mut self, cid: String, committed: Committed) {
        self.seen.last_ack = Instant::now();
        self.talk.acked.fetch_add(1, Relaxed);
        assert!(self.seen.acked.insert(cid, committed).is_none());
    }

    async fn take(&mut self, frame: ServerFrame) {
        match frame {
            ServerFrame::Events { events, .. } => {
                let last = events.last().map_or(0, |event| event.seq);
                if let Some(truth) = &self.talk.truth {
                    let committed = truth.heads(std::slice::from_ref(&self.talk.room)).await.unwrap()[0];
                    assert!(last <= committed, "{last} was shown, {committed} is committed");
                }
                for event in events {
                    assert_eq!(event.seq, self.seen.events.len() as u64 + 1);
                    self.seen.events.push(event);
                }
            }
            ServerFrame::Gap { from, to, .. } => panic!("a gap from {from} to {to}"),
            _ => {}
        }
    }

    fn pause(&self) -> Duration {
        self.talk.pause.mul_f64(fastrand::f64() * 2.0)
    }
}
