//! A client's session: which rooms are open, what is on its way, what is to be answered. Synchronous: it calls rooms
//! and fills the outbox, and waits for nothing.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use protocol::{Command, ErrorCode, JoinFrom, RoomName, ServerFrame, server::Done};
use ractor::ActorRef;

use super::{OpenRefusal, actor::ConnectionMsg, resume::Pending};
use crate::{
    answer::Answer,
    context::User,
    outbox::Outbox,
    planted::{self, Bug},
    ports::Change,
    room::{Begin, Join, Joined, LostGuard, Room, Rooms, SubscriberId, Write},
    users::{Share, Users},
};

/// Most rooms that one connection may have open.
const MAX_OPEN_ROOMS: usize = 1_000;
/// See the module's documentation. Dropping it leaves all rooms.
pub(super) struct Session {
    pub(super) rooms: Rooms,
    pub(super) users: Users,
    pub(super) user: Arc<User>,
    pub(super) outbox: Arc<Outbox>,
    /// Counts this connection while it lives.
    pub(super) _share: Share,
    pub(super) open: BTreeMap<RoomName, Slot>,
    pub(super) names: HashMap<SubscriberId, RoomName>,
    pub(super) welcome: Option<Pending>,
}

/// A room that is open on this connection, or about to be.
pub(super) struct Slot {
    pub(super) room: Room,
    pub(super) subscriber: SubscriberId,
    pub(super) status: Status,
}

pub(super) enum Status {
    Open,
    /// Commands for the room wait, so that they take effect in the order sent. They count as unacked, which bounds
    /// their number.
    Opening {
        asked_by: AskedBy,
        held: VecDeque<(Command, Answer)>,
    },
}

pub(super) enum AskedBy {
    Join(Answer),
    /// The `welcome` waits for it.
    Resume,
    /// The room failed and is opened again; the client need not know.
    Failure,
}

impl Session {
    /// Does a command. The answer goes to the outbox, now or later.
    pub(super) fn command(&mut self, myself: &ActorRef<ConnectionMsg>, id: Option<u32>, command: Command) {
        match command {
            Command::Ping => {
                let time = self.rooms.context().clock.now_ms();
                self.outbox.answer(&ServerFrame::Pong { id, time });
            }
            Command::Hello(_) => {
                self.outbox
                    .refuse(id, ErrorCode::BadRequest, "`op`: hello was said already", None);
            }
            command => {
                let large = matches!(command, Command::History { .. } | Command::Presence { .. });
                let answer = Answer::to_socket(&self.outbox, id, large);
                self.room_command(myself, command, answer);
            }
        }
    }

    fn room_command(&mut self, myself: &ActorRef<ConnectionMsg>, command: Command, answer: Answer) {
        let name = match &command {
            Command::Join { room, .. }
            | Command::Leave { room }
            | Command::Send { room, .. }
            | Command::Edit { room, .. }
            | Command::Delete { room, .. }
            | Command::React { room, .. }
            | Command::History { room, .. }
            | Command::Read { room, .. }
            | Command::Typing { room }
            | Command::Presence { room } => room.clone(),
            Command::Hello(_) | Command::Ping => return,
        };
        if let Some(Slot {
            status: Status::Opening { held, .. },
            ..
        }) = self.open.get_mut(&name)
        {
            held.push_back((command, answer));
            return;
        }
        match command {
            Command::Join { from, .. } => self.join(myself, &name, from, answer),
            Command::Leave { .. } => self.leave(&name, answer),
            Command::Send {
                cid, text, reply_to, ..
            } => {
                self.write(&name, cid, Change::Message { text, reply_to }, answer);
            }
            Command::Edit { cid, seq, text, .. } => {
                self.write(&name, cid, Change::Edit { target: seq, text }, answer);
            }
            Command::Delete { cid, seq, .. } => {
                self.write(
                    &name,
                    cid,
                    Change::Delete {
                        target: seq,
                        any_author: false,
                    },
                    answer,
                );
            }
            Command::React {
                cid, seq, emoji, on, ..
            } => {
                self.write(
                    &name,
                    cid,
                    Change::React {
                        target: seq,
                        emoji,
                        on,
                    },
                    answer,
                );
            }
            Command::History { page, .. } => {
                let user = Arc::clone(&self.user);
                self.with_room(&name, answer, |room, a| room.read_history(user, page, a));
            }
            Command::Presence { .. } => {
                let user = Arc::clone(&self.user);
                self.with_room(&name, answer, |room, a| room.presence(user, a));
            }
            Command::Read { seq, .. } => {
                let user = Arc::clone(&self.user);
                self.with_open(&name, answer, |room, answer| room.mark_read(user, seq, answer));
            }
            Command::Typing { .. } => {
                let user = Arc::clone(&self.user);
                self.with_open(&name, answer, |room, answer| room.typing(user, answer));
            }
            Command::Hello(_) | Command::Ping => {}
        }
    }

    fn join(&mut self, myself: &ActorRef<ConnectionMsg>, name: &RoomName, from: JoinFrom, answer: Answer) {
        // A room that is open starts anew.
        if let Some(slot) = self.take(name) {
            slot.room.leave(slot.subscriber, None);
        }
        if self.open.len() >= MAX_OPEN_ROOMS {
            let message =
                format!("at most {MAX_OPEN_ROOMS} rooms may be open on a connection; leave one first");
            return answer.refuse(ErrorCode::Forbidden, &message);
        }
        let begin = match from {
            JoinFrom::After(seq) => Begin::After(seq),
            JoinFrom::Newest(count) => Begin::Newest(count),
        };
        let create = self.rooms.context().settings.create_on_join;
        self.open_room(myself, name, begin, create, AskedBy::Join(answer));
    }

    fn leave(&mut self, name: &RoomName, answer: Answer) {
        match self.take(name) {
            // The room answers, behind the last frame that it sends.
            Some(slot) => slot.room.leave(slot.subscriber, Some(answer)),
            None => answer.done(Done::default()),
        }
    }

    fn write(&mut self, name: &RoomName, cid: Arc<str>, change: Change, answer: Answer) {
        let Some(slot) = self.open.get(name) else {
            return not_joined(answer, name);
        };
        if let Err(retry_after_ms) = self.users.take_send(&self.user.person.id) {
            let message = "you write too fast; try again with the same cid";
            return answer.refuse_for_now(ErrorCode::RateLimited, message, retry_after_ms);
        }
        slot.room.write(
            Write {
                user: Arc::clone(&self.user),
                cid: Some(cid),
                change,
                by_link: false,
            },
            answer,
        );
    }

    fn with_open(&self, name: &RoomName, answer: Answer, act: impl FnOnce(&Room, Answer)) {
        match self.open.get(name) {
            Some(slot) => act(&slot.room, answer),
            None => not_joined(answer, name),
        }
    }

    fn with_room(&self, name: &RoomName, answer: Answer, act: impl FnOnce(&Room, Answer)) {
        if let Some(slot) = self.open.get(name) {
            return act(&slot.room, answer);
        }
        // On an error the node is ending, and the dropped answer says to try again.
        if let Ok(room) = self.rooms.get(name) {
            act(&room, answer);
        }
    }

    pub(super) fn open_room(
        &mut self,
        myself: &ActorRef<ConnectionMsg>,
        name: &RoomName,
        begin: Begin,
        create: bool,
        asked_by: AskedBy,
    ) {
        let Ok(room) = self.rooms.get(name) else {
            return self.open_refused(name, asked_by, OpenRefusal::overloaded());
        };
        let subscriber = next_subscriber();
        room.join(Join {
            subscriber,
            guard: LostGuard::new(myself.clone(), subscriber),
            outbox: Arc::clone(&self.outbox),
            user: Arc::clone(&self.user),
            begin,
            counts: matches!(asked_by, AskedBy::Join(_)),
            create,
        });
        self.names.insert(subscriber, name.clone());
        let status = Status::Opening {
            asked_by,
            held: VecDeque::new(),
        };
        self.open.insert(
            name.clone(),
            Slot {
                room,
                subscriber,
                status,
            },
        );
    }

    /// A room has dealt with a join of this session.
    pub(super) fn opened(
        &mut self,
        myself: &ActorRef<ConnectionMsg>,
        room: &Room,
        subscriber: SubscriberId,
        result: Result<Joined, OpenRefusal>,
    ) {
        let Some(name) = self.names.get(&subscriber).cloned() else {
            // Not wanted any more.
            return room.leave(subscriber, None);
        };
        let Some(slot) = self.open.get_mut(&name) else {
            return;
        };
        let Status::Opening { asked_by, held } = std::mem::replace(&mut slot.status, Status::Open) else {
            return;
        };
        match result {
            Ok(joined) => match asked_by {
                AskedBy::Join(answer) => {
                    answer.done(Done {
                        room: Some(name),
                        title: Some(joined.title),
                        head: Some(joined.head),
                        role: Some(joined.role.into()),
                        members: Some(joined.members),
                        reset: joined.reset.then_some(true),
                        ..Done::default()
                    });
                    room.start(subscriber);
                }
                // With the `welcome` all rooms begin.
                AskedBy::Failure if self.welcome.is_some() => {}
                AskedBy::Failure => room.start(subscriber),
                AskedBy::Resume => self.resumed(&name, &joined),
            },
            Err(refusal) => {
                self.take(&name);
                self.open_refused(&name, asked_by, refusal);
            }
        }
        for (command, answer) in held {
            self.room_command(myself, command, answer);
        }
    }

    pub(super) fn open_refused(&mut self, name: &RoomName, asked_by: AskedBy, refusal: OpenRefusal) {
        match asked_by {
            AskedBy::Join(answer) => match refusal.retry_after_ms {
                Some(after) => answer.refuse_for_now(refusal.code, refusal.message, after),
                None => answer.refuse(refusal.code, refusal.message),
            },
            AskedBy::Resume => {
                self.resume_refused(name.as_str(), refusal.code);
                self.send_welcome_if_complete();
            }
            // The client believes the room to be open: it has to come back and resume.
            AskedBy::Failure => self.outbox.close(protocol::CloseCode::Internal),
        }
    }

    /// The room was closed for this connection. Commands that follow find it not open.
    pub(super) fn sent_out(
        &mut self,
        myself: &ActorRef<ConnectionMsg>,
        subscriber: SubscriberId,
        told: bool,
    ) {
        let Some(name) = self.names.remove(&subscriber) else {
            return;
        };
        // A room that is only about to be resumed is not.
        if let Some(pending) = &mut self.welcome {
            if let Some(rooms) = &mut pending.frame.rooms {
                rooms.remove(name.as_str());
            }
            self.resume_refused(name.as_str(), ErrorCode::NotFound);
        } else if !told {
            // The client was behind, and would take the room for open and silent: coming back, it finds out.
            self.outbox.close(protocol::CloseCode::Restarting);
        }
        if let Some(Slot {
            status: Status::Opening { held, .. },
            ..
        }) = self.open.remove(&name)
        {
            for (command, answer) in held {
                self.room_command(myself, command, answer);
            }
        }
    }

    /// The room failed. It is opened again where it was, in a new actor.
    pub(super) fn room_lost(
        &mut self,
        myself: &ActorRef<ConnectionMsg>,
        subscriber: SubscriberId,
        cursor: u64,
    ) {
        let Some(name) = self.names.remove(&subscriber) else {
            return;
        };
        let Some(slot) = self.open.remove(&name) else {
            return;
        };
        match slot.status {
            Status::Open => {
                let begin = if planted::has(Bug::ReopenedAtHead) {
                    Begin::Newest(0)
                } else {
                    Begin::After(cursor)
                };
                self.open_room(myself, &name, begin, false, AskedBy::Failure);
            }
            Status::Opening { asked_by, .. } => self.open_refused(&name, asked_by, OpenRefusal::overloaded()),
        }
    }

    pub(super) fn take(&mut self, name: &RoomName) -> Option<Slot> {
        let slot = self.open.remove(name)?;
        self.names.remove(&slot.subscriber);
        Some(slot)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for slot in self.open.values() {
            slot.room.leave(slot.subscriber, None);
        }
        // The client of a session that failed is to come back; of one that ended, the connection is closed already.
        self.outbox.close(protocol::CloseCode::Internal);
    }
}

fn not_joined(answer: Answer, name: &RoomName) {
    answer.refuse(
        ErrorCode::NotJoined,
        &format!("the room `{name}` is not open on this connection; join it first"),
    );
}

fn next_subscriber() -> SubscriberId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    SubscriberId(NEXT.fetch_add(1, Relaxed))
}
