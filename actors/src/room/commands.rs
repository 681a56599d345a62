//! A live room: what its members ask of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use protocol::{ErrorCode, Event, NodeMessage, Person, RoomName, ServerFrame, client::Page, server::Done};
use tokio::{runtime::Handle, time::Instant};

use super::{
    actor::{Cx, RoomMsg, Write},
    members::{Live, publish},
};
use crate::{
    answer::Answer,
    context::{Context, User},
    persistence::{Committed, Pending, Ticket},
    planted::{self, Bug},
    ports::{Append, Outcome, PageRequest, ReadMark, Refusal},
    rights::{Operation, refusal_text},
};

/// That somebody types is passed on at most this often.
const TYPING_PACE: Duration = Duration::from_secs(2);
/// When too much waits for the store, a client is asked to try again after this many milliseconds.
const OVERLOADED_RETRY_MS: u64 = 500;
/// Largest page of history, in bytes of its events.
const HISTORY_BYTES: usize = 1024 * 1024;

/// Read markers that moved and are not stored yet: one of each person, and one write of them at a time.
#[derive(Default)]
pub(super) struct Unsaved {
    marks: HashMap<Arc<str>, u64>,
    saving: bool,
}

impl Live {
    /// Hands a command that writes to persistence, unless it is not allowed or too much waits already.
    pub(super) fn write(&mut self, cx: &Cx<'_>, mut write: Write, answer: Answer) {
        let Some(answer) = self.admit(cx, &mut write, answer) else {
            return;
        };
        let append = Append {
            room: cx.room.name().clone(),
            author: write.user.person.clone(),
            cid: write.cid,
            change: write.change,
        };
        let bytes = append.cost_bytes();
        let reserved = cx
            .budget
            .reserve(bytes)
            .zip(cx.context.persistence.budget().reserve(bytes));
        let Some((room, node)) = reserved else {
            let message = "too much waits to be stored; try again";
            return answer.refuse_for_now(ErrorCode::Overloaded, message, OVERLOADED_RETRY_MS);
        };
        let answer = self.err_too_early(cx, &append, answer);
        let ticket = Ticket {
            room: cx.room.clone(),
            answer,
            since: Instant::now(),
            epoch: cx.context.clock.epoch(),
            reserved: [room, node],
        };
        cx.context.persistence.append(Pending { append, ticket });
    }

    /// For the simulation: what must wait for the commit is done before it, if that bug is planted.
    fn err_too_early(&self, cx: &Cx<'_>, append: &Append, answer: Answer) -> Answer {
        let (seq, at) = (self.log.known_head() + 1, cx.context.clock.now_ms());
        if planted::has(Bug::PublishedBeforeCommit) {
            let (room, events) = (append.room.clone(), vec![append.to_event(seq, at)]);
            publish(cx.context, &NodeMessage::Events { room, events }, None);
        }
        if planted::has(Bug::AckedBeforeCommit) {
            answer.done(Done::committed(None, seq, at));
            return Answer::to_caller().0;
        }
        answer
    }

    /// A batch with commands of this room is committed.
    pub(super) fn committed(&mut self, cx: &Cx<'_>, committed: Vec<Committed>) {
        for entry in &committed {
            if let Outcome::Known { seq, .. } = entry.outcome {
                // Committed by whomever; members here may not have seen it.
                self.log.hint(seq);
            }
        }
        let events = settle(cx.context, cx.room.name(), committed);
        self.apply(cx, events);
    }

    /// Commands of one connection take effect in the order sent: what looks at the log waits for what was written
    /// before it. At once where nothing is being written.
    fn behind_writes(cx: &Cx<'_>, then: impl FnOnce() + Send + 'static) {
        if cx.budget.used() == 0 {
            then();
        } else {
            cx.context.persistence.after_appends(cx.room.name(), then);
        }
    }

    pub(super) fn history(&self, cx: &Cx<'_>, user: &User, page: Page, answer: Answer) {
        if let Err(code) = self.decide(cx, user, Operation::Read) {
            return deny(answer, code, cx.room.name());
        }
        let store = Arc::clone(&cx.context.store);
        let room = cx.room.clone();
        // Recent events are still read while the store is down.
        let recent = self.log.ring().page(page);
        if let (Some(recent), false) = (&recent, cx.context.clock.is_up()) {
            return answer.done(page_of_ring(recent));
        }
        // To encode so many events is the work of this runtime.
        let here = Handle::current();
        let read = async move {
            let request = PageRequest {
                bound: page.bound,
                limit: page.limit,
                max_bytes: HISTORY_BYTES,
            };
            match store.page(room.name(), request).await {
                Ok(page) => drop(here.spawn(async move {
                    answer.done(Done::page(None, page.events, page.more));
                })),
                Err(error) => match recent {
                    Some(recent) => answer.done(page_of_ring(&recent)),
                    None => answer.refuse_by_store(&error),
                },
            }
        };
        let io = cx.context.io.clone();
        Self::behind_writes(cx, move || drop(io.spawn(read)));
    }

    /// Takes a wish to move a read marker: it may stand at what the same client has just written.
    pub(super) fn take_mark(cx: &Cx<'_>, user: Arc<User>, seq: u64, answer: Answer) {
        let room = cx.room.clone();
        Self::behind_writes(cx, move || room.cast(RoomMsg::MarkDue { user, seq, answer }));
    }

    /// Moves somebody's read marker. Where it stands is read from the store first, so that it never goes back.
    pub(super) fn mark_read(&mut self, cx: &Cx<'_>, user: Arc<User>, seq: u64, answer: Answer) {
        if let Err(code) = self.decide(cx, &user, Operation::Read) {
            return deny(answer, code, cx.room.name());
        }
        if seq > self.log.applied().max(self.log.known_head()) {
            return answer.refuse(ErrorCode::BadRequest, "`seq`: is beyond the head of the room");
        }
        let Some(known) = self.marks.get(&user.person.id).copied() else {
            return read_mark(cx, user, seq, answer);
        };
        let user = &user.person;
        if seq > known {
            self.show_read(cx, user.clone(), seq);
            let message = NodeMessage::Read {
                room: cx.room.name().clone(),
                user: user.clone(),
                seq,
            };
            publish(cx.context, &message, None);
            self.unsaved.marks.insert(Arc::clone(&user.id), seq);
            if !self.unsaved.saving {
                self.save_marks(cx);
            }
        }
        answer.done(Done::default());
    }

    /// Stores the markers that moved meanwhile. Read markers are no events: one that is lost with the store is sent
    /// again with the next.
    pub(super) fn save_marks(&mut self, cx: &Cx<'_>) {
        let marks: Vec<ReadMark> = self
            .unsaved
            .marks
            .drain()
            .map(|(user, seq)| ReadMark {
                room: cx.room.name().clone(),
                user,
                seq,
            })
            .collect();
        self.unsaved.saving = !marks.is_empty();
        if marks.is_empty() {
            return;
        }
        let store = Arc::clone(&cx.context.store);
        let room = cx.room.clone();
        cx.context.io.spawn(async move {
            if let Err(error) = store.mark_read(&marks).await {
                tracing::debug!(%error, "read markers were not stored");
            }
            room.cast(RoomMsg::MarksSaved);
        });
    }

    pub(super) fn show_read(&mut self, cx: &Cx<'_>, user: Person, seq: u64) {
        let marker = self.marks.entry(Arc::clone(&user.id)).or_insert(0);
        if seq > *marker {
            *marker = seq;
            if self.presence.count() <= cx.context.settings.presence_people {
                self.broadcast(
                    ServerFrame::Read {
                        room: cx.room.name().clone(),
                        user,
                        seq,
                    },
                    None,
                );
            }
        }
    }

    /// Passes on that somebody types.
    pub(super) fn typing(&mut self, cx: &Cx<'_>, user: &User, answer: Answer) {
        if let Err(code) = self.decide(cx, user, Operation::Send) {
            return deny(answer, code, cx.room.name());
        }
        let user = user.person.clone();
        if self.show_typing(cx, &user) {
            let message = NodeMessage::Typing {
                room: cx.room.name().clone(),
                user,
            };
            publish(cx.context, &message, None);
        }
        answer.done(Done::default());
    }

    /// Tells the members, unless they were told a moment ago, here or by another node. Returns whether it did.
    pub(super) fn show_typing(&mut self, cx: &Cx<'_>, user: &Person) -> bool {
        let now = Instant::now();
        self.typed
            .retain(|_, last| now.duration_since(*last) < TYPING_PACE);
        if self.typed.contains_key(&user.id) {
            return false;
        }
        self.typed.insert(Arc::clone(&user.id), now);
        let typing = ServerFrame::Typing {
            room: cx.room.name().clone(),
            user: user.clone(),
        };
        self.broadcast(typing, Some(&user.id));
        true
    }
}

/// Refuses what somebody may not do in the room.
pub(super) fn deny(answer: Answer, code: ErrorCode, room: &RoomName) {
    answer.refuse(code, &format!("{} (`{room}`)", refusal_text(code)));
}

/// Answers the senders of what the store has dealt with, tells the other nodes, and returns the new events. What was
/// handed over under another history may not be in this one, and is to be sent again.
pub(super) fn settle(context: &Context, room: &RoomName, committed: Vec<Committed>) -> Vec<Event> {
    let present = context.clock.epoch();
    let mut events = Vec::with_capacity(committed.len());
    for Committed {
        append,
        answer,
        outcome,
        epoch,
        reserved: _reserved,
    } in committed
    {
        if epoch != present {
            let message = "the store has another history now; try again";
            answer.refuse_for_now(ErrorCode::Overloaded, message, OVERLOADED_RETRY_MS);
            continue;
        }
        match outcome {
            Outcome::Written { seq, at } => {
                answer.done(Done::committed(None, seq, at));
                events.push(append.to_event(seq, at));
            }
            Outcome::Known { seq, at } => answer.done(Done::committed(None, seq, at)),
            Outcome::Refused(Refusal::NotFound) => {
                answer.refuse(ErrorCode::NotFound, "there is no such message in this room");
            }
            Outcome::Refused(Refusal::Conflict) => {
                let message = "the room would have no owner; make somebody else one first";
                answer.refuse(ErrorCode::Conflict, message);
            }
            Outcome::Refused(Refusal::Forbidden) => {
                answer.refuse(ErrorCode::Forbidden, "the message is somebody else's");
            }
        }
    }
    if let Some(last) = events.last() {
        let head = last.seq;
        let message = NodeMessage::Events {
            room: room.clone(),
            events,
        };
        publish(context, &message, Some(head));
        let NodeMessage::Events { events, .. } = message else {
            return Vec::new();
        };
        return events;
    }
    events
}

fn read_mark(cx: &Cx<'_>, user: Arc<User>, seq: u64, answer: Answer) {
    let store = Arc::clone(&cx.context.store);
    let room = cx.room.clone();
    cx.context.io.spawn(async move {
        match store.read_mark(room.name(), &user.person.id).await {
            Ok(known) => room.cast(RoomMsg::MarkKnown {
                user,
                known: known.unwrap_or(0),
                seq,
                answer,
            }),
            Err(error) => answer.refuse_by_store(&error),
        }
    });
}

fn page_of_ring((events, more): &(Vec<Arc<Event>>, bool)) -> Done {
    let events = events.iter().map(|event| Event::clone(event)).collect();
    Done::page(None, events, *more)
}
