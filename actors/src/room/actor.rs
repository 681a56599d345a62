//! The room actor: a thin shell that loads the room and passes messages to [`Live`].

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use protocol::{NodeMessage, client::Page};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{
    LostGuard, Room, Shared,
    directory::{Listed, WeakRooms},
    feed::Replay,
    members::Live,
};
use crate::{
    answer::Answer,
    connection::ConnectionMsg,
    context::{Context, User},
    outbox::Outbox,
    persistence::{Budget, Committed},
    ports::{Change, EventPage, LoadedRoom, RoomToLoad, StoreError},
};

/// How long a room that nobody is in goes by what it last read of rights.
const FRESH_FOR: Duration = Duration::from_millis(500);
/// How long a name stays active that is no room's.
const ABSENT_FOR: Duration = Duration::from_millis(200);

/// One opening of a room by a connection; unique on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SubscriberId(pub(crate) u64);

/// A connection wants to open the room. Answered by [`ConnectionMsg::Opened`], after which the subscriber is registered
/// and gets nothing until [`RoomMsg::Start`].
pub(crate) struct Join {
    pub(crate) subscriber: SubscriberId,
    /// The connection, which is told should the join be lost.
    pub(crate) guard: LostGuard,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) user: Arc<User>,
    pub(crate) begin: Begin,
    /// Is told how many people are in the room.
    pub(crate) counts: bool,
    /// Make the room if it does not exist.
    pub(crate) create: bool,
}

/// Somebody wants to write to the room's log.
pub(crate) struct Write {
    pub(crate) user: Arc<User>,
    pub(crate) cid: Option<Arc<str>>,
    pub(crate) change: Change,
    /// The user becomes a member by an invite link that was checked.
    pub(crate) by_link: bool,
}

/// Where a subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Behind this `seq`; at the newest if it is beyond the head.
    After(u64),
    /// With the newest so many.
    Newest(u64),
    /// With the newest, because the client's position belongs to another history.
    Reset,
}

/// What a connection is told when the room is open.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) title: Arc<str>,
    pub(crate) head: u64,
    pub(crate) role: &'static str,
    pub(crate) members: u64,
    pub(crate) reset: bool,
}

pub(crate) enum RoomMsg {
    Loaded {
        /// Which reading it is that has ended.
        reading: u64,
        result: Result<Option<Box<LoadedRoom>>, StoreError>,
    },
    Join(Box<Join>),
    Start(SubscriberId),
    Leave(SubscriberId, Option<Answer>),
    Write(Box<(Write, Answer)>),
    Committed(Vec<Committed>),
    History(Arc<User>, Page, Answer),
    Presence(Arc<User>, Answer),
    MarkRead {
        user: Arc<User>,
        seq: u64,
        answer: Answer,
    },
    /// What was written before a [`RoomMsg::MarkRead`] is committed.
    MarkDue {
        user: Arc<User>,
        seq: u64,
        answer: Answer,
    },
    /// The store's marker of somebody who wants to move it to `seq`.
    MarkKnown {
        user: Arc<User>,
        known: u64,
        seq: u64,
        answer: Answer,
    },
    Typing(Arc<User>, Answer),
    Bus {
        node: Arc<str>,
        message: NodeMessage,
        bytes: usize,
    },
    Hint(u64),
    FreshHead {
        generation: u64,
        head: Option<u64>,
    },
    /// Frames may have been missed: ask for the head.
    Refresh,
    FillDue,
    Filled {
        generation: u64,
        result: Result<EventPage, StoreError>,
    },
    CatchUp(SubscriberId),
    Replayed {
        generation: u64,
        replay: Replay,
        result: Result<EventPage, StoreError>,
    },
    /// Read markers are stored; others may have moved meanwhile.
    MarksSaved,
    PresenceDue(u64),
    PresenceRenew(u64),
    /// Other nodes want this one's picture.
    TellPicture,
    /// It is time to send it.
    PictureDue(u64),
    /// The leases of these nodes have ended.
    NodesGone(Arc<[Arc<str>]>),
    /// The other nodes have had the time to say who is there.
    PicturesDue(u64),
    /// The store has another history: nothing that is known holds any more.
    Forget,
    IdleDue,
    /// As [`RoomMsg::IdleDue`], once: the room does not exist.
    AbsentDue,
}

pub(super) struct RoomActor {
    pub(super) context: Arc<Context>,
    pub(super) rooms: WeakRooms,
    pub(super) shared: Arc<Shared>,
}

pub(super) struct State {
    /// Dropped before the phase, whose members come back for a room in the directory: it must not be this one.
    _listed: Listed,
    phase: Phase,
    budget: Arc<Budget>,
}

enum Phase {
    /// Nothing is known; the first request loads the room.
    Cold,
    Loading {
        /// Tells its end from that of an earlier one, whose room was forgotten meanwhile.
        reading: u64,
        waiting: Waiting,
    },
    Live(Box<Live>),
}

/// Requests that wait for the room to be read; each counts with its connection, so their number is bounded.
#[derive(Default)]
struct Waiting {
    /// Came before the reading began: what is read is current for them.
    in_time: Vec<RoomMsg>,
    late: Vec<RoomMsg>,
}

/// What the methods of [`Live`] need of the actor.
pub(super) struct Cx<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) room: Room,
    pub(super) budget: &'a Arc<Budget>,
}

impl Actor for RoomActor {
    type Msg = RoomMsg;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<RoomMsg>, (): ()) -> Result<State, ActorProcessingErr> {
        self.check_idle_later(&myself);
        let budget = Budget::new(self.context.settings.pending_room_bytes, None);
        Ok(State {
            _listed: self.rooms.listed(&self.shared.name, myself.get_id()),
            phase: Phase::Cold,
            budget,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<RoomMsg>,
        message: RoomMsg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let RoomMsg::Bus { bytes, .. } = &message {
            self.shared.backlog_bytes.fetch_sub(*bytes, Relaxed);
        }
        match message {
            RoomMsg::IdleDue => {
                if !self.end_if_idle(&myself, state) {
                    self.check_idle_later(&myself);
                }
            }
            RoomMsg::AbsentDue => drop(self.end_if_idle(&myself, state)),
            RoomMsg::Forget => state.phase = Phase::Cold,
            RoomMsg::Loaded { reading, result } => self.loaded(&myself, state, reading, result),
            message => self.dispatch(&myself, state, message),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RoomMsg>, _: &mut State) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl RoomActor {
    fn dispatch(&self, myself: &ActorRef<RoomMsg>, state: &mut State, message: RoomMsg) {
        if matches!(&state.phase, Phase::Live(live) if is_stale(live, &message)) {
            state.phase = Phase::Cold;
        }
        match &mut state.phase {
            Phase::Live(live) => {
                let cx = Cx {
                    context: &self.context,
                    room: self.handle(myself),
                    budget: &state.budget,
                };
                live.handle(&cx, message);
                self.shared.applied.store(live.applied(), Relaxed);
                self.shared.members.store(live.members(), Relaxed);
            }
            Phase::Loading { waiting, .. } => self.wait(waiting, message),
            Phase::Cold => {
                let mut waiting = Waiting::default();
                self.wait(&mut waiting, message);
                if !waiting.late.is_empty() {
                    state.phase = self.load(myself, waiting);
                }
            }
        }
    }

    /// Keeps what must wait for the room. What only concerns a live room is pointless now, but a commit is answered and
    /// told to the other nodes at once.
    fn wait(&self, waiting: &mut Waiting, message: RoomMsg) {
        match message {
            RoomMsg::Committed(committed) => {
                let events = super::commands::settle(&self.context, &self.shared.name, committed);
                let message = NodeMessage::Events {
                    room: self.shared.name.clone(),
                    events,
                };
                if !waiting.in_time.is_empty() || !waiting.late.is_empty() {
                    waiting.late.push(RoomMsg::Bus {
                        node: Arc::clone(&self.context.settings.node),
                        message,
                        bytes: 0,
                    });
                }
            }
            RoomMsg::Leave(subscriber, answer) => {
                for waiting in [&mut waiting.in_time, &mut waiting.late] {
                    waiting.retain(
                        |message| !matches!(message, RoomMsg::Join(join) if join.subscriber == subscriber),
                    );
                }
                if let Some(answer) = answer {
                    answer.done(protocol::server::Done::default());
                }
            }
            RoomMsg::Join(_)
            | RoomMsg::Write(_)
            | RoomMsg::History(..)
            | RoomMsg::Presence(..)
            | RoomMsg::MarkRead { .. }
            | RoomMsg::MarkDue { .. }
            | RoomMsg::Typing(..) => waiting.late.push(message),
            _ => {}
        }
    }

    /// Reads the room beside the actor. Somebody who may make the room has it made if it is not there.
    fn load(&self, myself: &ActorRef<RoomMsg>, waiting: Waiting) -> Phase {
        let mut in_time = waiting.in_time;
        in_time.extend(waiting.late);
        let context = Arc::clone(&self.context);
        let room = RoomToLoad {
            name: self.shared.name.clone(),
            recent: in_time.iter().any(|message| matches!(message, RoomMsg::Join(_))),
        };
        let myself = myself.clone();
        let reading = fastrand::u64(..);
        let create = in_time.iter().any(wants_creation);
        let io = context.io.clone();
        io.spawn(async move {
            let result = context.loader.load(&room, create).await;
            let _ = myself.cast(RoomMsg::Loaded { reading, result });
        });
        let late = Vec::new();
        Phase::Loading {
            reading,
            waiting: Waiting { in_time, late },
        }
    }

    fn loaded(
        &self,
        myself: &ActorRef<RoomMsg>,
        state: &mut State,
        reading: u64,
        result: Result<Option<Box<LoadedRoom>>, StoreError>,
    ) {
        let Waiting { in_time, late } = match &mut state.phase {
            Phase::Loading {
                reading: own,
                waiting,
            } if *own == reading => std::mem::take(waiting),
            _ => return,
        };
        state.phase = Phase::Cold;
        match result {
            Ok(Some(loaded)) => {
                let live = Live::new(&self.context.settings, *loaded);
                state.phase = Phase::Live(Box::new(live));
                let in_time = in_time.into_iter().map(|message| (message, true));
                let late = late.into_iter().map(|message| (message, false));
                for (message, is_current) in in_time.chain(late) {
                    let opens = matches!(message, RoomMsg::Join(_) | RoomMsg::Presence(..));
                    match &mut state.phase {
                        Phase::Live(live) if is_current || opens => {
                            let cx = Cx {
                                context: &self.context,
                                room: self.handle(myself),
                                budget: &state.budget,
                            };
                            match message {
                                RoomMsg::Join(join) if is_current => live.join_current(&cx, *join),
                                message => live.handle(&cx, message),
                            }
                            self.shared.members.store(live.members(), Relaxed);
                        }
                        _ => self.dispatch(myself, state, message),
                    }
                }
            }
            Ok(None) => {
                for message in in_time {
                    refuse(&self.shared.name, self.handle(myself), message, None);
                }
                if late.is_empty() {
                    // Anybody can ask for any name; one that there is not costs an actor for a moment only.
                    drop(myself.send_after(ABSENT_FOR, || RoomMsg::AbsentDue));
                } else {
                    // The room may have been made meanwhile, or one of these may make it.
                    let in_time = Vec::new();
                    state.phase = self.load(myself, Waiting { in_time, late });
                }
            }
            Err(error) => {
                tracing::warn!(room = %self.shared.name, %error, "a room could not be read from the store");
                for message in in_time.into_iter().chain(late) {
                    refuse(&self.shared.name, self.handle(myself), message, Some(&error));
                }
            }
        }
    }

    /// Returns whether it does.
    fn end_if_idle(&self, myself: &ActorRef<RoomMsg>, state: &mut State) -> bool {
        let idle = match &state.phase {
            Phase::Cold => true,
            Phase::Loading { .. } => false,
            Phase::Live(live) => live.members() == 0,
        };
        let ends = idle && self.rooms.retire(&self.shared.name, myself.get_id());
        if ends {
            // What was sent before the room left the directory is still handled.
            let _ = myself.drain();
        }
        ends
    }

    fn check_idle_later(&self, myself: &ActorRef<RoomMsg>) {
        myself.send_after(
            self.context.settings.room_idle.max(Duration::from_millis(10)),
            || RoomMsg::IdleDue,
        );
    }

    fn handle(&self, myself: &ActorRef<RoomMsg>) -> Room {
        Room {
            actor: myself.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Without members a room does not follow its log, and what it holds grows old: who opens it needs the newest, and
/// others what they may do here as of a moment ago.
fn is_stale(live: &Live, message: &RoomMsg) -> bool {
    match message {
        RoomMsg::Join(_) | RoomMsg::Presence(..) => !live.is_followed(),
        RoomMsg::Write(write) if is_about_rights(&write.0.change) => !live.is_followed(),
        RoomMsg::Write(_) | RoomMsg::History(..) | RoomMsg::MarkRead { .. } | RoomMsg::Typing(..) => {
            !live.is_followed() && live.age() > FRESH_FOR
        }
        _ => false,
    }
}

/// Whether what is so already is judged by what is known of the room.
fn is_about_rights(change: &Change) -> bool {
    matches!(change, Change::Member { .. } | Change::Room { .. })
}

fn wants_creation(message: &RoomMsg) -> bool {
    matches!(message, RoomMsg::Join(join) if join.create)
}

/// Refuses what waited for a room that does not exist or could not be read.
fn refuse(name: &protocol::RoomName, room: Room, message: RoomMsg, error: Option<&StoreError>) {
    match message {
        RoomMsg::Join(mut join) => {
            join.guard.disarm();
            let refusal = crate::connection::OpenRefusal::from_store(error);
            let opened = ConnectionMsg::Opened {
                room,
                subscriber: join.subscriber,
                result: Err(refusal),
            };
            let _ = join.guard.connection().cast(opened);
        }
        RoomMsg::Write(write) => refuse_answer(write.1, name, error),
        RoomMsg::History(_, _, answer)
        | RoomMsg::Presence(_, answer)
        | RoomMsg::MarkRead { answer, .. }
        | RoomMsg::MarkDue { answer, .. }
        | RoomMsg::Typing(_, answer) => refuse_answer(answer, name, error),
        _ => {}
    }
}

fn refuse_answer(answer: Answer, name: &protocol::RoomName, error: Option<&StoreError>) {
    match error {
        Some(error) => answer.refuse_by_store(error),
        // As of a room that is there and may not be seen.
        None => super::commands::deny(answer, protocol::ErrorCode::NotFound, name),
    }
}
