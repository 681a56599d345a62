//! A persistent client's task.

use std::{
    collections::{BTreeMap, HashMap},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use protocol::{Command, JoinFrom, RoomName, ServerFrame};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Order, Plan, Status,
    attempt::{Attempt, Comeback},
    link::{Asked, Link},
    writes::Writes,
};
use crate::{
    client::{Client, Closed, Error},
    journal::{Scribe, What},
    measure::Timing,
};

/// How long the other side may take to answer a close frame.
const CLOSING: Duration = Duration::from_secs(2);
/// With nothing else to do the task looks around this often.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Life {
    pub(super) plan: Plan,
    pub(super) scribe: Scribe,
    orders: mpsc::UnboundedReceiver<Box<Order>>,
    /// What is worth saying at this moment only.
    pub(super) notes: Vec<Command>,
    pub(super) status: Arc<Status>,
    pub(super) rng: Rng,
    token: Option<String>,
    pub(super) epoch: Option<String>,
    /// The rooms to be in.
    pub(super) rooms: BTreeMap<RoomName, Place>,
    /// Rooms to be opened on the present connection.
    pub(super) joins: HashMap<RoomName, Join>,
    pub(super) writes: Writes,
    connections: u32,
    /// Since when it should have a connection.
    without_since: Instant,
    // Boxed: there is seldom an old one, and an idle client is to be small.
    pub(super) current: Option<Box<Link>>,
    /// Was replaced, and is being closed.
    old: Option<Box<Link>>,
    attempt: Option<Attempt>,
    pub(super) comeback: Comeback,
    pub(super) stalled: bool,
    finishing: bool,
    /// Ends while its rooms go on.
    retires: bool,
    /// The server does not want this client any more.
    pub(super) unwanted: bool,
}

/// A room to be in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Where to begin.
    pub(super) first: JoinFrom,
    /// The last event, once it was opened.
    pub(super) position: Option<u64>,
    /// The room's last event when it was opened first, or when the client came back from sleep.
    pub(super) head: u64,
    /// It sleeps, or slept and has not come back to the room yet.
    pub(super) missed_on_purpose: bool,
}

/// A room to be opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Join {
    /// When it is tried.
    pub(super) at: Instant,
    /// When it was to be done first.
    pub(super) due: Instant,
}

/// Which connection something came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Current,
    Old,
}

enum Happened {
    Order(Option<Box<Order>>),
    Connected(Box<Result<Client, Error>>),
    Frame(Which, Result<Arc<ServerFrame>, Error>),
    Time,
}

impl Life {
    pub(super) fn new(
        plan: Plan,
        scribe: Scribe,
        orders: mpsc::UnboundedReceiver<Box<Order>>,
        status: Arc<Status>,
    ) -> Self {
        let rooms = plan
            .rooms
            .iter()
            .map(|(room, first)| (room.clone(), Place::new(*first)));
        Self {
            rng: Rng::with_seed(plan.seed),
            token: plan.token.clone(),
            epoch: None,
            rooms: rooms.collect(),
            joins: HashMap::new(),
            writes: Writes::default(),
            connections: 0,
            without_since: plan.due.unwrap_or_else(Instant::now),
            current: None,
            old: None,
            attempt: None,
            comeback: Comeback::now(),
            stalled: false,
            finishing: false,
            retires: false,
            unwanted: false,
            plan,
            scribe,
            orders,
            notes: Vec::new(),
            status,
        }
    }

    pub(super) async fn run(mut self: Box<Self>) {
        let mut timer = pin!(sleep_until(Instant::now()));
        while !self.is_over() {
            match self.happens(timer.as_mut()).await {
                Happened::Order(None) => return,
                Happened::Order(Some(order)) => self.obey(*order),
                Happened::Connected(result) => Box::pin(self.connected(*result)).await,
                Happened::Frame(which, Ok(frame)) => {
                    self.take(which, &frame);
                    // A frame calls for nothing but what has waited for an answer; all else has its time.
                    if self.writes.wait_to_be_sent() {
                        Box::pin(self.act()).await;
                    }
                    continue;
                }
                Happened::Frame(which, Err(error)) => self.lost(which, &error),
                Happened::Time => {}
            }
            Box::pin(self.act()).await;
        }
        if let (true, Some(link)) = (self.retires, &self.current) {
            for room in &link.open {
                let room = room.to_string();
                self.scribe.write(link.number, What::Left { room });
            }
        }
        if !self.unwanted {
            self.scribe.write(0, What::Finished);
        }
        if let Some(link) = self.current.take() {
            Box::pin(self.close(link)).await;
        }
    }

    fn is_over(&self) -> bool {
        let settled = self.current.as_ref().is_some_and(|link| {
            let mut asked = link.asked.values();
            link.open.len() == self.rooms.len() && !asked.any(|asked| matches!(asked, Asked::Leave(_)))
        });
        self.unwanted || self.finishing && self.writes.is_empty() && settled
    }

    async fn happens(&mut self, mut timer: Pin<&mut Sleep>) -> Happened {
        let wake = self.wake();
        // To set a timer costs more than to wake up in vain now and then.
        if wake < timer.deadline() || timer.is_elapsed() {
            timer.as_mut().reset(wake);
        }
        let reads = !self.stalled;
        tokio::select! {
            order = self.orders.recv(), if !self.finishing => Happened::Order(order),
            connected = async {
                match &mut self.attempt {
                    Some(attempt) => attempt.connecting.as_mut().await,
                    None => std::future::pending().await,
                }
            } => Happened::Connected(Box::new(connected)),
            frame = next(&mut self.current), if reads => Happened::Frame(Which::Current, frame),
            frame = next(&mut self.old), if reads => Happened::Frame(Which::Old, frame),
            () = timer => Happened::Time,
        }
    }

    /// When there is something to do although nothing happens.
    fn wake(&self) -> Instant {
        let mut wake = Instant::now() + IDLE;
        let mut at = |time: Option<Instant>| wake = time.map_or(wake, |time| wake.min(time));
        if self.attempt.is_none() {
            at(self.comeback.due);
        }
        at(self.old.as_ref().and_then(|old| old.until));
        if let Some(link) = &self.current {
            at(self.writes.due());
            at(self.joins.values().map(|join| join.at).min());
            if !self.stalled {
                at(Some(match link.pinged {
                    Some(since) => since + self.plan.silence,
                    None => link.heard + self.plan.ping_after,
                }));
            }
        }
        wake
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Write(write) => {
                let counted = write.what.always_comes_to_something();
                if !self.writes.add(write) {
                    self.status.answered(false);
                } else if !counted {
                    self.count(|counts| counts.offered += 1);
                }
            }
            Order::Join(room, from) => {
                self.joins.insert(room.clone(), Join::now());
                self.rooms.insert(room, Place::new(from));
            }
            Order::Leave(room) => {
                self.rooms.remove(&room);
                self.joins.remove(&room);
            }
            Order::Cut => self.cut(),
            Order::Sleep(asleep) => {
                self.attempt = None;
                self.cut();
                for place in self.rooms.values_mut() {
                    place.missed_on_purpose = true;
                }
                let awake = Instant::now() + asleep;
                self.without_since = awake;
                self.comeback.due = Some(awake);
            }
            Order::Typing(room) => self.notes.push(Command::Typing { room }),
            Order::MarkRead(room) => {
                if let Some(seq) = self.writes.last_shown(&room) {
                    self.notes.push(Command::Read { room, seq });
                }
            }
            Order::Stall(on) => {
                self.stalled = on;
                self.scribe.write(0, What::Stalled { on });
                if let (false, Some(link)) = (on, &mut self.current) {
                    link.heard = Instant::now();
                    link.pinged = None;
                }
            }
            Order::Finish => self.finishing = true,
            Order::Retire => {
                self.finishing = true;
                self.retires = true;
            }
        }
    }

    fn cut(&mut self) {
        for link in [self.current.take(), self.old.take()].into_iter().flatten() {
            self.count(|counts| counts.cut += 1);
            // To the checker it is as any other connection that is lost.
            self.ended(&link, None, false, "cut off");
            link.reset();
        }
        self.gone();
    }

    pub(super) fn link(&mut self, which: Which) -> Option<&mut Link> {
        match which {
            Which::Current => self.current.as_deref_mut(),
            Which::Old => self.old.as_deref_mut(),
        }
    }

    /// Does what is due.
    async fn act(&mut self) {
        let now = Instant::now();
        if let Some(old) = self
            .old
            .take_if(|old| old.until.is_some_and(|until| until <= now))
        {
            self.ended(&old, None, true, "the node did not answer the close frame");
        }
        if self.attempt.is_none() && self.comeback.due.is_some_and(|due| due <= now) {
            self.come_back();
        }
        if let Err(error) = self.speak(now).await {
            self.lost(Which::Current, &error);
        }
    }

    fn come_back(&mut self) {
        let current = self.current.as_ref().map(|link| &link.target);
        let Some(target) = self.comeback.choose(&self.plan, current, &mut self.rng) else {
            return;
        };
        let positions = self.rooms.iter();
        let positions = positions.filter_map(|(room, place)| Some((room.to_string(), place.position?)));
        let positions = positions.collect();
        let (token, epoch) = (self.token.as_deref(), self.epoch.as_deref());
        self.attempt = Some(Attempt::start(&self.plan, target, token, epoch, positions));
    }

    async fn connected(&mut self, result: Result<Client, Error>) {
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        let welcomed = result.and_then(|mut client| Ok((client.take_welcome()?, client)));
        let (welcome, client) = match welcomed {
            Ok(welcomed) => welcomed,
            Err(error) => {
                let why = error.to_string();
                self.scribe.write(0, What::Unreachable { why });
                self.count(|counts| counts.connect_failed += 1);
                self.kept_out(&format!("connecting to {}: {error}", attempt.target));
                if matches!(error, Error::Order(_) | Error::Protocol(_)) {
                    self.broken(0, error.to_string());
                }
                let refused = error.refused().map(|refused| refused.code);
                let closed = error.closed().and_then(Closed::known_code);
                self.unwanted = refused == Some(protocol::ErrorCode::Unauthenticated)
                    || closed.is_some_and(|code| !code.may_reconnect());
                self.comeback
                    .failed(&attempt.target, &error, &self.plan, &mut self.rng);
                return;
            }
        };
        self.comeback.succeeded();
        self.connections += 1;
        let node = Arc::clone(&welcome.node);
        let link = Link::new(client, self.connections, attempt.target, node);
        self.welcomed(&link);
        if self.connections == 1 {
            self.scribe.write(
                0,
                What::Person {
                    user: welcome.user.id.to_string(),
                },
            );
        }
        if welcome.token.is_some() {
            self.token.clone_from(&welcome.token);
        }
        self.status.connected(Some(Arc::clone(&welcome.node)));
        self.status.signed_in(self.token.as_deref());
        let connected = What::Connected {
            node: welcome.node.to_string(),
            epoch: welcome.epoch.to_string(),
        };
        self.scribe.write(link.number, connected);
        if let Some(mut replaced) = self.current.replace(Box::new(link)) {
            replaced.until = Some(Instant::now() + CLOSING);
            // If it cannot be written, reading tells that it has ended.
            let _ = timeout(CLOSING, replaced.client.send_message(Message::Close(None))).await;
            if let Some(older) = self.old.replace(replaced) {
                self.ended(&older, None, true, "replaced");
            }
        }
        self.writes.again();
        self.resumed(&welcome, &attempt.positions);
    }

    fn welcomed(&self, link: &Link) {
        let Some(meter) = &self.plan.meter else { return };
        meter.connected(&link.node);
        match (link.number, &self.current) {
            (1, _) => self.time(Timing::Connect, self.without_since),
            (_, None) => self.time(Timing::Reconnect, self.without_since),
            // It moves, and was never without.
            (_, Some(_)) => {}
        }
    }

    /// A connection has ended, or is of no use.
    pub(super) fn lost(&mut self, which: Which, error: &Error) {
        let link = match which {
            Which::Current => self.current.take(),
            Which::Old => self.old.take(),
        };
        let Some(link) = link else { return };
        if matches!(error, Error::Order(_) | Error::Protocol(_)) {
            self.broken(link.number, error.to_string());
        }
        let closed = error.closed();
        // The old one is given up anyhow.
        self.count(|counts| counts.lost += u64::from(which == Which::Current));
        self.ended(
            &link,
            closed.and_then(|closed| closed.code),
            which == Which::Old,
            &error.to_string(),
        );
        if which == Which::Current {
            self.unwanted = closed
                .and_then(Closed::known_code)
                .is_some_and(|code| !code.may_reconnect());
            link.reset();
            self.gone();
        }
    }

    /// There is no connection any more.
    fn gone(&mut self) {
        self.without_since = Instant::now();
        self.joins.clear();
        self.writes.again();
        self.status.connected(None);
        if self.attempt.is_none() {
            self.comeback.lost(&mut self.rng);
        }
    }

    pub(super) fn ended(&self, link: &Link, code: Option<u16>, own: bool, why: &str) {
        let ended = What::Ended {
            code,
            own,
            why: why.to_owned(),
        };
        self.scribe.write(link.number, ended);
        if let Some(meter) = &self.plan.meter {
            meter.disconnected(&link.node);
        }
    }

    async fn close(&mut self, mut link: Box<Link>) {
        let closed = timeout(CLOSING, link.client.close(1000, "")).await;
        let code = closed.ok().and_then(Result::ok).and_then(|closed| closed.code);
        self.ended(&link, code, true, "finished");
    }
}

async fn next(link: &mut Option<Box<Link>>) -> Result<Arc<ServerFrame>, Error> {
    match link {
        Some(link) => link.client.next_shared().await,
        None => std::future::pending().await,
    }
}

impl Place {
    fn new(first: JoinFrom) -> Self {
        Self {
            first,
            position: None,
            head: 0,
            missed_on_purpose: false,
        }
    }
}

impl Join {
    pub(super) fn now() -> Self {
        let now = Instant::now();
        Self { at: now, due: now }
    }

    pub(super) fn again(at: Instant, due: Instant) -> Self {
        Self { at, due }
    }
}
