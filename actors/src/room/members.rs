//! A live room: who is in it, and how they come and go.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use protocol::{Event, EventBody, MemberChange, NodeFrame, NodeMessage, ServerFrame, server::Done};
use tokio::time::Instant;

use super::{
    LostGuard, Room,
    actor::{Cx, RoomMsg, SubscriberId},
    commands::{Unsaved, deny},
    feed::{Feed, Fill, Replays},
    log::RoomLog,
    memos::Memos,
    opening::Opening,
    presence::Presence,
    ring::Ring,
};
use crate::{
    answer::Answer,
    connection::ConnectionMsg,
    context::{Context, User},
    frame::SharedFrame,
    outbox::Outbox,
    planted::{self, Bug},
    ports::{LoadedRoom, Topic},
    rights::{self, Operation, Roster},
    settings::Settings,
};

/// After a room begins to follow the bus, the other nodes' pictures of who is there are waited for so long.
const PICTURES_WAIT: Duration = Duration::from_millis(150);

/// A room whose record and recent events are known.
pub(super) struct Live {
    pub(super) title: Arc<str>,
    pub(super) roster: Roster,
    pub(super) log: RoomLog,
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) index: HashMap<SubscriberId, usize>,
    pub(super) opening: Opening,
    pub(super) fill: Fill,
    pub(super) replays: Replays,
    pub(super) memos: Memos,
    pub(super) presence: Presence,
    pub(super) presence_due: bool,
    /// Other nodes have asked for this one's picture, which they get in a moment.
    pub(super) picture_due: bool,
    /// When members were last told who came and went.
    pub(super) presence_told: Option<Instant>,
    /// When the other nodes were last told who is here.
    pub(super) others_told: Option<Instant>,
    /// Whether the other nodes have had the time to send their pictures.
    pub(super) pictured: bool,
    /// Who asks for presence before that.
    pub(super) asking: Vec<Answer>,
    pub(super) renewing: bool,
    pub(super) typed: HashMap<Arc<str>, Instant>,
    pub(super) marks: HashMap<Arc<str>, u64>,
    pub(super) unsaved: Unsaved,
    /// When people may write again in slow mode, in Unix milliseconds.
    pub(super) write_again_at: HashMap<Arc<str>, u64>,
    /// Tells the timers and readings of this one from those of a room that was live here before, which knew less, or
    /// another history.
    pub(super) generation: u64,
    loaded: Instant,
}

/// One opening of the room by a connection.
pub(super) struct Subscriber {
    pub(super) id: SubscriberId,
    pub(super) user: Arc<User>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) feed: Feed,
    /// Its cursor is the last `seq` that was put into the outbox, or the position that the client came with.
    pub(super) guard: LostGuard,
}

impl Subscriber {
    /// The last `seq` that the subscriber was given.
    pub(super) fn cursor(&self) -> u64 {
        self.guard.cursor
    }
}

impl Live {
    pub(super) fn new(settings: &Settings, loaded: LoadedRoom) -> Self {
        let ring = Ring::new(settings.ring_events, settings.ring_bytes);
        let (head, recent) = (loaded.record.head, loaded.recent.events);
        // The page was read after the record: what is new in it changes what the record says.
        let later: Vec<Event> = recent.iter().filter(|event| event.seq > head).cloned().collect();
        let messages: Vec<Event> = recent.iter().filter(|event| event.seq <= head).cloned().collect();
        let mut live = Self {
            roster: Roster::new(loaded.record.rights, loaded.members).of(loaded.record.name),
            title: loaded.record.title,
            log: RoomLog::new(head, recent, ring),
            subscribers: Vec::new(),
            index: HashMap::new(),
            opening: Opening::default(),
            fill: Fill::Idle,
            replays: Replays::new(),
            memos: Memos::default(),
            presence: Presence::new(),
            presence_due: false,
            presence_told: None,
            others_told: None,
            picture_due: false,
            pictured: false,
            asking: Vec::new(),
            renewing: false,
            typed: HashMap::new(),
            marks: HashMap::new(),
            unsaved: Unsaved::default(),
            write_again_at: HashMap::new(),
            generation: fastrand::u64(..),
            loaded: Instant::now(),
        };
        live.remember_writers(&messages);
        for event in &later {
            live.note(event);
        }
        live
    }

    /// How long ago the room was read from the store.
    pub(super) fn age(&self) -> Duration {
        self.loaded.elapsed()
    }

    /// Whether the room follows its log, so that what it holds is current but for what the bus has lost.
    pub(super) fn is_followed(&self) -> bool {
        self.members() > 0
    }

    /// Subscribers, including those that are just opening the room or ask who is there.
    pub(super) fn members(&self) -> usize {
        self.subscribers.len() + self.asking.len() + self.opening.joins()
    }

    pub(super) fn applied(&self) -> u64 {
        self.log.applied()
    }

    pub(super) fn handle(&mut self, cx: &Cx<'_>, message: RoomMsg) {
        match message {
            RoomMsg::Join(join) => self.join(cx, *join),
            RoomMsg::Start(subscriber) => self.start(cx, subscriber),
            RoomMsg::Leave(subscriber, answer) => self.leave(cx, subscriber, answer),
            RoomMsg::Write(write) => self.write(cx, write.0, write.1),
            RoomMsg::Committed(committed) => self.committed(cx, committed),
            RoomMsg::History(user, page, answer) => self.history(cx, &user, page, answer),
            RoomMsg::Presence(user, answer) => match self.decide(cx, &user, Operation::Read) {
                Ok(()) => self.tell_presence_to(cx, answer),
                Err(code) => deny(answer, code, cx.room.name()),
            },
            RoomMsg::PicturesDue(generation) if generation == self.generation => self.pictures_due(cx),
            RoomMsg::MarkRead { user, seq, answer } => Self::take_mark(cx, user, seq, answer),
            RoomMsg::MarksSaved => self.save_marks(cx),
            RoomMsg::MarkDue { user, seq, answer } => self.mark_read(cx, user, seq, answer),
            RoomMsg::MarkKnown {
                user,
                known,
                seq,
                answer,
            } => {
                self.marks.entry(Arc::clone(&user.person.id)).or_insert(known);
                self.mark_read(cx, user, seq, answer);
            }
            RoomMsg::Typing(user, answer) => self.typing(cx, &user, answer),
            RoomMsg::Bus { node, message, .. } => self.take_bus(cx, node, message),
            RoomMsg::Hint(head) => {
                self.log.hint(head);
                self.fill_holes(cx);
            }
            RoomMsg::FreshHead { generation, head } if generation == self.generation => {
                self.fresh_head(cx, head);
            }
            RoomMsg::Refresh => {
                self.tell_others(cx, true);
                self.read_head(cx);
            }
            RoomMsg::FillDue => self.fill_now(cx),
            RoomMsg::Filled { generation, result } if generation == self.generation => {
                self.filled(cx, result);
            }
            RoomMsg::CatchUp(subscriber) => self.catch_up(cx, subscriber),
            RoomMsg::Replayed {
                generation,
                replay,
                result,
            } if generation == self.generation => self.replayed(cx, replay, result),
            RoomMsg::PresenceDue(generation) if generation == self.generation => self.presence_is_due(cx),
            RoomMsg::PresenceRenew(generation) if generation == self.generation => self.renew_presence(cx),
            RoomMsg::NodesGone(nodes) => self.nodes_gone(cx, &nodes),
            RoomMsg::TellPicture => self.picture_wanted(cx),
            RoomMsg::PictureDue(generation) if generation == self.generation => self.send_picture(cx),
            // Meant for a room that was live here before.
            RoomMsg::FreshHead { .. }
            | RoomMsg::Filled { .. }
            | RoomMsg::Replayed { .. }
            | RoomMsg::PresenceDue(_)
            | RoomMsg::PresenceRenew(_)
            | RoomMsg::PicturesDue(_)
            | RoomMsg::PictureDue(_) => {}
            RoomMsg::Loaded { .. } | RoomMsg::IdleDue | RoomMsg::AbsentDue | RoomMsg::Forget => {}
        }
    }

    fn start(&mut self, cx: &Cx<'_>, id: SubscriberId) {
        if let Some(subscriber) = self.subscriber(id) {
            subscriber.feed = Feed::Behind;
            self.catch_up(cx, id);
        }
    }

    fn leave(&mut self, cx: &Cx<'_>, id: SubscriberId, answer: Option<Answer>) {
        self.opening.withdraw(id);
        if !planted::has(Bug::LeavingIsIgnored) {
            self.remove(cx, id);
        }
        if let Some(answer) = answer {
            answer.done(Done::default());
        }
        if self.members() == 0 {
            self.unfollow(cx);
        }
    }

    fn remove(&mut self, cx: &Cx<'_>, id: SubscriberId) -> Option<Subscriber> {
        let position = self.index.remove(&id)?;
        let mut gone = self.subscribers.swap_remove(position);
        gone.guard.disarm();
        if let Some(moved) = self.subscribers.get(position) {
            self.index.insert(moved.id, position);
        }
        self.presence.exit(&gone.user.person);
        self.presence_changed(cx);
        Some(gone)
    }

    /// Closes the room for those who may be here no longer after `events`, or were sent out by one of them.
    pub(super) fn send_out(&mut self, cx: &Cx<'_>, events: &[Arc<Event>]) {
        if planted::has(Bug::RemovedMayStay) {
            return;
        }
        let was_followed = self.is_followed();
        let removed: HashSet<&str> = events.iter().filter_map(|event| sent_out(event)).collect();
        let now_ms = cx.context.clock.now_ms();
        let gone: Vec<SubscriberId> = self
            .subscribers
            .iter()
            .filter(|subscriber| {
                removed.contains(&*subscriber.user.person.id)
                    || rights::decide(Operation::Read, &subscriber.user, &self.roster, now_ms).is_err()
            })
            .map(|subscriber| subscriber.id)
            .collect();
        for id in gone {
            if let Some(gone) = self.remove(cx, id) {
                let told = events.last().is_some_and(|last| last.seq <= gone.cursor());
                let sent_out = ConnectionMsg::SentOut { subscriber: id, told };
                let _ = gone.guard.connection().cast(sent_out);
            }
        }
        if was_followed && self.members() == 0 {
            self.unfollow(cx);
        }
    }

    pub(super) fn subscriber(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        let position = *self.index.get(&id)?;
        self.subscribers.get_mut(position)
    }

    pub(super) fn follow(&mut self, cx: &Cx<'_>) {
        if self.members() == 0 {
            cx.context.bus.subscribe(Topic::Room(cx.room.name().clone()));
            cx.after(PICTURES_WAIT, RoomMsg::PicturesDue(self.generation));
        }
        self.keep_renewing(cx);
    }

    pub(super) fn unfollow(&mut self, cx: &Cx<'_>) {
        self.tell_others(cx, false);
        cx.context.bus.unsubscribe(&Topic::Room(cx.room.name().clone()));
        self.pictured = false;
        self.typed.clear();
        self.marks.clear();
    }

    /// Sends to all members what may be lost, but to none of the person `but`.
    pub(super) fn broadcast(&self, frame: ServerFrame, but: Option<&str>) {
        let frame = SharedFrame::new(frame);
        for subscriber in &self.subscribers {
            let excluded = but.is_some_and(|but| *subscriber.user.person.id == *but);
            if subscriber.feed != Feed::Held && !excluded {
                subscriber
                    .outbox
                    .push_droppable(frame.payload(subscriber.outbox.codec()));
            }
        }
    }
}

/// Whom an event sends out of the room, who could open it again.
fn sent_out(event: &Event) -> Option<&str> {
    match &event.body {
        EventBody::Member {
            change: MemberChange::Removed,
            who,
            ..
        } => Some(&who.id),
        _ => None,
    }
}

impl Cx<'_> {
    /// Sends the room a message later.
    pub(super) fn after(&self, delay: Duration, message: RoomMsg) {
        // The handle of the timer is not needed: a room that has ended ignores it.
        let room: &Room = &self.room;
        drop(room.actor.send_after(delay, move || message));
    }
}

/// Hands a frame to the bus.
pub(super) fn publish(context: &Context, message: &NodeMessage, head: Option<u64>) {
    let topic = match message {
        NodeMessage::Events { room, .. }
        | NodeMessage::Typing { room, .. }
        | NodeMessage::Read { room, .. }
        | NodeMessage::Presence { room, .. }
        | NodeMessage::PresenceChange { room, .. }
        | NodeMessage::PresenceAsk { room, .. } => Topic::Room(room.clone()),
        NodeMessage::Accounts { .. } => Topic::Cluster,
    };
    match NodeFrame::encode_message(&context.settings.node, message) {
        Ok(payload) => {
            context.metrics.bus_frames_out().increment(1);
            context.bus.publish(&topic, payload.into(), head);
        }
        Err(error) => tracing::error!(%error, "a node frame could not be encoded"),
    }
}
