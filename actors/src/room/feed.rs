//! A live room: how events reach the members, in order, each once, without a hole.
//!
//! Every subscriber has a cursor. A live one gets each run of events as it is applied. One that is behind (it has just
//! begun, or its outbox was full) is caught up from the ring or the store, a piece at a time as its outbox drains, until
//! its cursor has reached the room's. There is one mechanism for replay and for lagging, and no state in which an event
//! could fall between.

use std::{collections::HashMap, sync::Arc, time::Duration};

use protocol::{Event, NodeMessage, ServerFrame, client::PageBound, limits::MAX_REPLAY_EVENTS};

use super::{
    Room,
    actor::{Cx, RoomMsg, SubscriberId},
    members::Live,
};
use crate::{
    frame::SharedFrame,
    outbox::Pushed,
    planted::{self, Bug},
    ports::{EventPage, PageRequest, StoreError},
};

/// Payload of one `events` frame, about; a single event may be larger.
const FRAME_BYTES: usize = 48 * 1024;
/// Most events in one read for a hole or a replay.
const READ_EVENTS: u64 = 256;
/// Payload of one read for a hole, about.
const HOLE_BYTES: usize = 256 * 1024;
/// Pause before a read that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How a subscriber is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    /// Registered, but its `ok` or `welcome` is not yet in the outbox; or its connection is ending.
    Held,
    /// Gets every run of events at once.
    Live,
    /// Is being caught up.
    Behind,
}

/// Whether a hole in the log is being filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Idle,
    /// What is missing may still come over the bus.
    Waiting,
    Reading,
}

/// A read for subscribers that are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Replay {
    /// The `seq` that it begins behind.
    after: u64,
    /// [`RoomLog::amended`](super::log::RoomLog::amended) when it began. It may show what a later edit or delete has
    /// changed: who opens the room after that is not served from it.
    amended: u64,
}

/// Who waits for a read that is under way: many that miss the same range cost one.
pub(super) type Replays = HashMap<Replay, Vec<SubscriberId>>;

impl Live {
    /// Takes committed events from any source and shows what can be shown.
    pub(super) fn apply(&mut self, cx: &Cx<'_>, events: Vec<Event>) {
        let ready = self.log.offer(events);
        if !ready.is_empty() {
            self.memos.clear();
            let mut rest = &ready[..];
            while !rest.is_empty() {
                let (count, about_rights) = self.take_note(rest);
                let (run, others) = rest.split_at(count);
                self.deliver(cx, run);
                if about_rights {
                    // Whom it concerns was still shown why, and is shown nothing behind it.
                    self.send_out(cx, run);
                }
                rest = others;
            }
            self.open_reached(cx);
        }
        self.fill_holes(cx);
    }

    /// Hands a run of events to all live subscribers; encoded once per codec.
    fn deliver(&mut self, cx: &Cx<'_>, run: &[Arc<Event>]) {
        for piece in pieces(run) {
            let first = piece.first().map_or(0, |event| event.seq);
            let frame = SharedFrame::events(cx.room.name(), piece.to_vec());
            if planted::has(Bug::SubscribedTooLate) {
                let held = self.subscribers.iter_mut().filter(|s| s.feed == Feed::Held);
                held.for_each(|subscriber| subscriber.guard.cursor = frame.last_seq());
            }
            let mut delivered = 0;
            for subscriber in self.subscribers.iter_mut().filter(|s| s.feed == Feed::Live) {
                debug_assert_eq!(subscriber.cursor() + 1, first, "one order");
                let payload = frame.payload(subscriber.outbox.codec());
                let bytes = payload.len();
                match subscriber.outbox.push(payload) {
                    Pushed::Queued => {
                        subscriber.guard.cursor = frame.last_seq();
                        delivered += frame.len();
                    }
                    Pushed::Full => {
                        if planted::has(Bug::LaggingClientSkips) {
                            subscriber.guard.cursor = frame.last_seq();
                            continue;
                        }
                        cx.context.metrics.outbox_overflows().increment(1);
                        subscriber.feed = Feed::Behind;
                        let again = when_drained(&cx.room, subscriber.id);
                        subscriber.outbox.call_back(bytes, again);
                    }
                    // It is about to leave, and gets nothing more.
                    Pushed::Closed => subscriber.feed = Feed::Held,
                }
            }
            cx.context.metrics.deliveries().increment(delivered);
        }
    }

    /// Takes a subscriber that is behind as far as its outbox allows.
    pub(super) fn catch_up(&mut self, cx: &Cx<'_>, id: SubscriberId) {
        let head = self.log.applied();
        loop {
            let Some(&position) = self.index.get(&id) else {
                return;
            };
            let Some(subscriber) = self.subscribers.get_mut(position) else {
                return;
            };
            if subscriber.feed != Feed::Behind {
                return;
            }
            if subscriber.cursor() >= head {
                subscriber.feed = Feed::Live;
                return;
            }
            let after = subscriber.cursor();
            let most = if planted::has(Bug::GapsComeEarly) {
                30
            } else {
                MAX_REPLAY_EVENTS
            };
            let (pushed, bytes) = if head - after > most {
                self.push_gap(cx, position, head - most)
            } else if self.remember(cx, after) {
                self.push_memo(cx, position, after)
            } else {
                self.read_for(cx, after, id);
                return;
            };
            match pushed {
                Pushed::Queued => {}
                Pushed::Closed => return,
                Pushed::Full => {
                    let subscriber = &self.subscribers[position];
                    subscriber.outbox.call_back(bytes, when_drained(&cx.room, id));
                    return;
                }
            }
        }
    }

    /// Makes the frame of the events behind `after` from the ring, unless it is one of those last made: after a restart of
    /// a node many clients resume from the same position. `false` when the ring does not reach back that far.
    fn remember(&mut self, cx: &Cx<'_>, after: u64) -> bool {
        if self.memos.get(after).is_none() {
            let Some(events) = self.log.ring().after(after, FRAME_BYTES) else {
                return false;
            };
            self.memos.put(after, SharedFrame::events(cx.room.name(), events));
        }
        true
    }

    /// Returns what became of it, and its size.
    fn push_memo(&mut self, cx: &Cx<'_>, position: usize, after: u64) -> (Pushed, usize) {
        let Some(frame) = self.memos.get(after) else {
            return (Pushed::Closed, 0);
        };
        let subscriber = &mut self.subscribers[position];
        let payload = frame.payload(subscriber.outbox.codec());
        let bytes = payload.len();
        let pushed = subscriber.outbox.push(payload);
        if pushed == Pushed::Queued {
            subscriber.guard.cursor = frame.last_seq();
            cx.context.metrics.deliveries().increment(frame.len());
        }
        (pushed, bytes)
    }

    /// Tells a subscriber that what is up to `to` is not replayed. Returns what became of it, and its size.
    fn push_gap(&mut self, cx: &Cx<'_>, position: usize, to: u64) -> (Pushed, usize) {
        let subscriber = &mut self.subscribers[position];
        let gap = ServerFrame::Gap {
            room: cx.room.name().clone(),
            from: subscriber.cursor() + 1,
            to,
        };
        let payload = SharedFrame::new(gap).payload(subscriber.outbox.codec());
        let bytes = payload.len();
        let pushed = subscriber.outbox.push(payload);
        if pushed == Pushed::Queued {
            subscriber.guard.cursor = to;
            cx.context.metrics.gaps().increment(1);
        }
        (pushed, bytes)
    }

    /// Reads events for a subscriber that is further behind than the ring reaches.
    fn read_for(&mut self, cx: &Cx<'_>, after: u64, id: SubscriberId) {
        let replay = Replay {
            after,
            amended: self.log.amended(),
        };
        let readers = self.replays.entry(replay).or_default();
        readers.push(id);
        if readers.len() == 1 {
            cx.context.metrics.replay_reads().increment(1);
            let generation = self.generation;
            read_page(cx, after, FRAME_BYTES, move |result| RoomMsg::Replayed {
                generation,
                replay,
                result,
            });
        }
    }

    pub(super) fn replayed(&mut self, cx: &Cx<'_>, replay: Replay, result: Result<EventPage, StoreError>) {
        let after = replay.after;
        let readers = self.replays.remove(&replay).unwrap_or_default();
        let events = match result {
            Ok(page) => page.events,
            Err(error) => {
                tracing::debug!(room = %cx.room.name(), %error, "a replay could not be read; it is tried again");
                Vec::new()
            }
        };
        let applied = self.log.applied();
        let events: Vec<Arc<Event>> = events
            .into_iter()
            .take_while(|event| event.seq <= applied)
            .map(Arc::new)
            .collect();
        if events.first().is_none_or(|first| first.seq != after + 1) {
            for id in readers {
                cx.after(RETRY_AFTER, RoomMsg::CatchUp(id));
            }
            return;
        }
        self.memos.put(after, SharedFrame::events(cx.room.name(), events));
        for id in readers {
            self.catch_up(cx, id);
        }
        if replay.amended != self.log.amended() {
            self.memos.remove(after);
        }
    }

    /// Sees to it that what is missing comes: a little later from the store, if the bus does not bring it.
    pub(super) fn fill_holes(&mut self, cx: &Cx<'_>) {
        if self.fill != Fill::Idle || !self.log.is_behind() || !self.is_followed() {
            return;
        }
        if planted::has(Bug::HolesStay) {
            return;
        }
        if self.opening.for_head.is_empty() {
            self.fill = Fill::Waiting;
            cx.after(cx.context.settings.hole_patience, RoomMsg::FillDue);
        } else {
            self.read_hole(cx);
        }
    }

    pub(super) fn fill_now(&mut self, cx: &Cx<'_>) {
        if self.fill == Fill::Waiting {
            self.fill = Fill::Idle;
            if self.log.is_behind() && self.is_followed() {
                self.read_hole(cx);
            }
        }
    }

    fn read_hole(&mut self, cx: &Cx<'_>) {
        self.fill = Fill::Reading;
        cx.context.metrics.gap_fills().increment(1);
        let generation = self.generation;
        read_page(cx, self.log.applied(), HOLE_BYTES, move |result| {
            RoomMsg::Filled { generation, result }
        });
    }

    pub(super) fn filled(&mut self, cx: &Cx<'_>, result: Result<EventPage, StoreError>) {
        self.fill = Fill::Idle;
        match result {
            Ok(page) => {
                let found = !page.events.is_empty();
                if !found {
                    // Nothing is there: who said so was wrong, or spoke of another history.
                    self.log.nothing_beyond();
                    self.open_all(cx, true);
                }
                // What is still missing will not come over the bus, either.
                self.fill = Fill::Reading;
                self.apply(cx, page.events);
                self.fill = Fill::Idle;
                if found && self.log.is_behind() && self.is_followed() {
                    self.read_hole(cx);
                }
            }
            Err(error) => {
                tracing::debug!(room = %cx.room.name(), %error, "a hole could not be read; it is tried again");
                self.open_all(cx, false);
                self.fill = Fill::Waiting;
                cx.after(RETRY_AFTER, RoomMsg::FillDue);
            }
        }
    }

    pub(super) fn take_bus(&mut self, cx: &Cx<'_>, node: Arc<str>, message: NodeMessage) {
        match message {
            NodeMessage::Events { events, .. } => self.apply(cx, events),
            NodeMessage::Typing { user, .. } => {
                self.show_typing(cx, &user);
            }
            // Concerns no room.
            NodeMessage::Accounts { .. } => {}
            NodeMessage::Read { user, seq, .. } => self.show_read(cx, user, seq),
            NodeMessage::Presence { .. }
            | NodeMessage::PresenceChange { .. }
            | NodeMessage::PresenceAsk { .. } => self.take_picture(cx, node, message),
        }
    }
}

/// Cuts a run of events into frames of about [`FRAME_BYTES`].
fn pieces(run: &[Arc<Event>]) -> impl Iterator<Item = &[Arc<Event>]> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let mut count = 0;
        for event in rest {
            bytes += event.payload_bytes();
            if count > 0 && bytes > FRAME_BYTES {
                break;
            }
            count += 1;
        }
        let (piece, others) = rest.split_at(count);
        rest = others;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Reads the events behind `after` beside the actor and sends it the result.
fn read_page(
    cx: &Cx<'_>,
    after: u64,
    max_bytes: usize,
    message: impl FnOnce(Result<EventPage, StoreError>) -> RoomMsg + Send + 'static,
) {
    let store = Arc::clone(&cx.context.store);
    let room = cx.room.clone();
    cx.context.io.spawn(async move {
        let request = PageRequest {
            bound: PageBound::After(after),
            limit: READ_EVENTS,
            max_bytes,
        };
        let result = store.page(room.name(), request).await;
        room.cast(message(result));
    });
}

fn when_drained(room: &Room, id: SubscriberId) -> crate::outbox::Callback {
    let room = room.clone();
    Box::new(move || room.cast(RoomMsg::CatchUp(id)))
}
