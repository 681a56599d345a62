//! An honest client: connects to any node, resumes, repeats what was not answered, and checks all that it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    sync::Arc,
    time::Duration,
};

use actors::{
    Credential, Scopes, Standing, User,
    connection::Opening,
    metrics::Metrics,
    outbox::{Outbox, Taken},
    ports::Change,
};
use parking_lot::Mutex;
use protocol::{Command, JoinFrom, Person, ServerFrame};
use tokio::sync::Notify;

use crate::{
    answers::Asked,
    node::Node,
    plan::Plan,
    view::{Status, View, Write},
    world::World,
};

/// How often a client looks for what it might do while something is to be done, and while there is nothing.
const TICK: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(500);
/// Frames that a client's socket takes before it takes from the outbox again.
const TAKEN_AT_ONCE: usize = 4;

pub(crate) struct Client {
    pub(crate) index: usize,
    pub(crate) user: Arc<User>,
    pub(crate) world: Arc<World>,
    pub(crate) state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) rng: fastrand::Rng,
    pub(crate) connected: Option<Connected>,
    pub(crate) rooms: Vec<View>,
    pub(crate) writes: Vec<Write>,
    written: u64,
    pub(crate) epoch: Option<String>,
    pub(crate) stalled_until_ms: u64,
    /// Ends the connection.
    lost: Arc<Notify>,
    /// Something is to be done.
    pub(crate) wake: Arc<Notify>,
}

/// A connection.
pub(crate) struct Connected {
    pub(crate) node: Arc<Node>,
    pub(crate) is_welcome: bool,
    last_id: u32,
    pub(crate) asked: BTreeMap<u32, Asked>,
    commands: VecDeque<(u32, Command)>,
    /// By room and order: where messages went that were sent once only.
    pub(crate) in_order: BTreeMap<(usize, u64), u64>,
}

/// The pump's end of an outbox.
struct Pump(Arc<Outbox>);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

pub(crate) fn person(index: usize) -> Person {
    Person {
        id: format!("c{index}").into(),
        name: format!("Client {index}").into(),
    }
}

pub(crate) fn user(person: Person) -> Arc<User> {
    Arc::new(User {
        person,
        standing: Standing::Registered,
        scopes: Scopes::ALL,
        credential: Credential::default(),
        roles: Arc::default(),
    })
}

impl Client {
    pub(crate) fn new(world: &Arc<World>, index: usize) -> Arc<Self> {
        let rooms = world.shape.rooms.iter();
        let views = rooms.map(|room| View::new(room.name.clone(), room.private));
        Arc::new(Self {
            index,
            user: user(person(index)),
            state: Mutex::new(State {
                rng: fastrand::Rng::with_seed(world.seed ^ ((index as u64 + 1) << 32)),
                connected: None,
                rooms: views.collect(),
                writes: Vec::new(),
                written: 0,
                epoch: None,
                stalled_until_ms: 0,
                lost: Arc::default(),
                wake: Arc::default(),
            }),
            world: Arc::clone(world),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.user.person.id
    }

    /// Connects, and connects again, for ever.
    pub(crate) async fn live(self: Arc<Self>) {
        loop {
            let (node, lost) = {
                let mut state = self.state.lock();
                state.lost = Arc::default();
                (self.world.some_node(&mut state.rng), Arc::clone(&state.lost))
            };
            if let Some(node) = node {
                tokio::select! {
                    biased;
                    () = lost.notified() => {}
                    () = self.converse(&node) => {}
                }
                self.world
                    .note(format_args!("{} has lost {}", self.id(), node.name));
            }
            let pause = {
                let mut state = self.state.lock();
                state.disconnect(self.world.now_ms());
                Duration::from_millis(state.rng.u64(1..150))
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One connection, until it ends.
    async fn converse(&self, node: &Arc<Node>) {
        let world = &self.world;
        let outbox = Arc::new(Outbox::new(
            Plan::codec(self.index),
            world.shape.outbox_bytes,
            Metrics::noop(),
        ));
        let pump = Pump(Arc::clone(&outbox));
        let registered = node.system().connections().register(&outbox);
        registered.identify(&self.user);
        let (opening, wake) = self.hello(node, &outbox);
        let Ok(connection) = registered.open(opening).await else {
            return;
        };
        loop {
            let stalled = self.state.lock().stalled_until_ms > world.now_ms();
            tokio::select! {
                biased;
                taken = poll_fn(|cx| pump.0.poll_take(TAKEN_AT_ONCE, cx)), if !stalled => {
                    if !self.take(&outbox, taken) {
                        return;
                    }
                }
                () = wake.notified() => {}
                () = tokio::time::sleep(self.pause()) => {}
            }
            self.act();
            while outbox.accepts_commands() {
                let Some((id, command)) = self.next_command() else {
                    break;
                };
                if connection.command(Some(id), command).await.is_err() {
                    return;
                }
            }
        }
    }

    fn hello(&self, node: &Arc<Node>, outbox: &Arc<Outbox>) -> (Opening, Arc<Notify>) {
        let mut state = self.state.lock();
        let mut resume = Vec::new();
        for view in &mut state.rooms {
            if let (true, Some(cursor)) = (view.wanted, view.cursor) {
                view.status = Status::Opening { again: false };
                resume.push((view.name.to_string(), cursor));
            }
        }
        self.world.note(format_args!(
            "{} says hello to {}: {resume:?}",
            self.id(),
            node.name
        ));
        state.connected = Some(Connected {
            node: Arc::clone(node),
            is_welcome: false,
            last_id: 1,
            asked: BTreeMap::from([(1, Asked::Hello)]),
            commands: VecDeque::new(),
            in_order: BTreeMap::new(),
        });
        let opening = Opening {
            user: Arc::clone(&self.user),
            outbox: Arc::clone(outbox),
            id: Some(1),
            token: None,
            resume: (!resume.is_empty()).then_some(resume),
            epoch: state.epoch.clone(),
        };
        (opening, Arc::clone(&state.wake))
    }

    /// Reads what the pump took. Returns whether the connection goes on.
    fn take(&self, outbox: &Outbox, taken: Taken) -> bool {
        for payload in taken.frames {
            match Plan::codec(self.index).decode::<ServerFrame>(&payload) {
                Ok(frame) => {
                    if let Err(broken) = self.hear(frame) {
                        self.world.violate(&format!("{}: {broken}", self.id()));
                    }
                }
                Err(error) => self.world.violate(&format!("{}: {error}", self.id())),
            }
            outbox.wrote(payload.len());
        }
        if let Some(code) = taken.close {
            self.world
                .note(format_args!("{} is closed with {code:?}", self.id()));
        }
        taken.close.is_none()
    }

    /// Opens what is wanted and closed, and writes what is ready.
    fn act(&self) {
        let now_ms = self.world.now_ms();
        let mut state = self.state.lock();
        if !state.connected.as_ref().is_some_and(|c| c.is_welcome) {
            return;
        }
        for index in 0..state.rooms.len() {
            let view = &state.rooms[index];
            if view.wanted && view.status == Status::Closed && view.retry_at_ms <= now_ms {
                let from = match view.cursor {
                    Some(cursor) => JoinFrom::After(cursor),
                    None => first_look(&mut state.rng),
                };
                self.ask_to_join(&mut state, index, from);
            }
        }
        let State { rooms, writes, .. } = &mut *state;
        // Not let in: what was not written yet will not be.
        writes.retain(|write| write.in_flight || rooms[write.room].wanted);
        for index in 0..state.writes.len() {
            let write = &state.writes[index];
            let open = matches!(
                state.rooms[write.room].status,
                Status::Open | Status::Opening { again: true }
            );
            if !write.in_flight && write.ready_at_ms <= now_ms && open {
                self.post(&mut state, index);
            }
        }
    }

    pub(crate) fn ask_to_join(&self, state: &mut State, index: usize, from: JoinFrom) {
        let view = &mut state.rooms[index];
        let again = view.status == Status::Open;
        view.status = Status::Opening { again };
        let room = view.name.clone();
        let asked = Asked::Join {
            room: index,
            from,
            at_ms: self.world.now_ms(),
            head: self.world.truth.lock().head(&room),
        };
        self.world
            .note(format_args!("{} joins {room} {from:?}", self.id()));
        state.ask(asked, Command::Join { room, from });
    }

    fn post(&self, state: &mut State, index: usize) {
        let write = &mut state.writes[index];
        write.in_flight = true;
        write.attempts += 1;
        if write.attempts > 1 {
            self.world.count(|counts| counts.retried += 1);
        }
        let view = &state.rooms[write.room];
        let room = view.name.clone();
        let cid = Arc::clone(&write.cid);
        let command = match write.change.clone() {
            Change::Edit { target: seq, text } => Command::Edit { room, cid, seq, text },
            Change::Delete { target: seq, .. } => Command::Delete { room, cid, seq },
            Change::React {
                target: seq,
                emoji,
                on,
            } => Command::React {
                room,
                cid,
                seq,
                emoji,
                on,
            },
            Change::Message { text, reply_to } => Command::Send {
                room,
                cid,
                text,
                reply_to,
            },
            Change::Member { .. } | Change::Room { .. } => return,
        };
        let asked = Asked::Write {
            cid: Arc::clone(&write.cid),
            while_open: view.status == Status::Open,
        };
        self.world.note(format_args!(
            "{} writes {} to {}, attempt {}",
            self.id(),
            write.cid,
            view.name,
            write.attempts
        ));
        state.ask(asked, command);
    }

    /// How long it may sleep if nothing comes.
    fn pause(&self) -> Duration {
        let state = self.state.lock();
        let waits = !state.writes.is_empty()
            || state.stalled_until_ms > self.world.now_ms()
            || state.connected.as_ref().is_some_and(|c| !c.commands.is_empty())
            || state
                .rooms
                .iter()
                .any(|view| view.wanted && view.status != Status::Open);
        if waits { TICK } else { IDLE }
    }

    fn next_command(&self) -> Option<(u32, Command)> {
        let mut state = self.state.lock();
        state.connected.as_mut()?.commands.pop_front()
    }

    /// Wants to write something to a room that it has open.
    pub(crate) fn write(&self, room: usize, change: Change) {
        let mut state = self.state.lock();
        if !state.rooms[room].wanted || state.rooms[room].status == Status::Leaving {
            return;
        }
        state.written += 1;
        let order = state.written;
        let write = Write {
            cid: format!("c{}-{order}", self.index).into(),
            room,
            change,
            order,
            attempts: 0,
            in_flight: false,
            ready_at_ms: 0,
        };
        state.writes.push(write);
        state.wake.notify_one();
    }

    pub(crate) fn leave(&self, index: usize) {
        let mut state = self.state.lock();
        let busy = state.writes.iter().any(|write| write.room == index);
        let view = &mut state.rooms[index];
        if view.status == Status::Open && !busy {
            view.status = Status::Leaving;
            let room = view.name.clone();
            self.world.note(format_args!("{} leaves {room}", self.id()));
            state.ask(Asked::Leave { room: index }, Command::Leave { room });
        }
    }

    pub(crate) fn want(&self, room: usize) {
        let mut state = self.state.lock();
        let view = &mut state.rooms[room];
        if view.status != Status::Leaving {
            view.wanted = true;
        }
        state.wake.notify_one();
    }

    pub(crate) fn stall(&self, until_ms: u64) {
        let mut state = self.state.lock();
        state.stalled_until_ms = state.stalled_until_ms.max(until_ms);
        state.wake.notify_one();
    }

    /// The connection is lost, if there is one and `node` is none or its.
    pub(crate) fn lose(&self, node: Option<&Arc<Node>>) {
        let state = self.state.lock();
        let concerned = state
            .connected
            .as_ref()
            .is_some_and(|c| node.is_none_or(|node| Arc::ptr_eq(node, &c.node)));
        if concerned {
            state.lost.notify_one();
        }
    }
}

impl State {
    fn ask(&mut self, asked: Asked, command: Command) {
        if let Some(connected) = &mut self.connected {
            connected.last_id += 1;
            connected.asked.insert(connected.last_id, asked);
            connected.commands.push_back((connected.last_id, command));
            self.wake.notify_one();
        }
    }

    fn disconnect(&mut self, now_ms: u64) {
        self.connected = None;
        for view in &mut self.rooms {
            view.lose(now_ms);
        }
        for write in &mut self.writes {
            write.in_flight = false;
        }
    }
}

fn first_look(rng: &mut fastrand::Rng) -> JoinFrom {
    if rng.bool() {
        JoinFrom::After(0)
    } else {
        JoinFrom::Newest(rng.u64(0..60))
    }
}
