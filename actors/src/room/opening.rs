//! Joins of a live room: from the command to the first event that the subscriber may be shown.

use std::sync::Arc;

use protocol::limits::DEFAULT_JOIN_EVENTS;

use super::{
    actor::{Begin, Cx, Join, Joined, SubscriberId},
    feed::Feed,
    members::{Live, Subscriber},
};
use crate::{
    connection::{ConnectionMsg, OpenRefusal},
    planted::{self, Bug},
    rights::Operation,
};

/// Joins on their way. Each waits for a head that was read after it came, and then for the room to have reached it.
#[derive(Default)]
pub(super) struct Opening {
    reading: bool,
    for_this_read: Vec<Join>,
    for_next_read: Vec<Join>,
    pub(super) for_head: Vec<(u64, Join)>,
    /// These are told how many people there are, which is known once the other nodes have said so.
    pub(super) for_pictures: Vec<Join>,
}

impl Opening {
    /// How many there are.
    pub(super) fn joins(&self) -> usize {
        self.for_this_read.len() + self.for_next_read.len() + self.for_head.len() + self.for_pictures.len()
    }

    /// Takes back those of a subscriber.
    pub(super) fn withdraw(&mut self, id: SubscriberId) {
        self.for_this_read.retain(|join| join.subscriber != id);
        self.for_next_read.retain(|join| join.subscriber != id);
        self.for_head.retain(|(_, join)| join.subscriber != id);
        self.for_pictures.retain(|join| join.subscriber != id);
    }
}

impl Live {
    /// Opens the room for a connection, at a head that is read from the store after the join came: what was acked on
    /// any node before is included.
    pub(super) fn join(&mut self, cx: &Cx<'_>, join: Join) {
        self.follow(cx);
        self.opening.for_next_read.push(join);
        self.read_head(cx);
    }

    /// Opens the room for a connection that waited for it to be read from the store.
    pub(super) fn join_current(&mut self, cx: &Cx<'_>, join: Join) {
        self.follow(cx);
        self.open_each(cx, [join], true);
    }

    /// Asks for the head, unless an answer is under way; then once more after it.
    pub(super) fn read_head(&mut self, cx: &Cx<'_>) {
        if !self.opening.reading {
            self.opening.reading = true;
            self.opening.for_this_read = std::mem::take(&mut self.opening.for_next_read);
            cx.context.heads.request(cx.room.clone(), self.generation);
        }
    }

    pub(super) fn fresh_head(&mut self, cx: &Cx<'_>, head: Option<u64>) {
        self.opening.reading = false;
        let joins = std::mem::take(&mut self.opening.for_this_read);
        match head {
            Some(head) => {
                self.log.hint(head);
                let joins = joins.into_iter().map(|join| (head, join));
                self.opening.for_head.extend(joins);
            }
            // With the store away the room serves what it has.
            None => self.open_each(cx, joins, false),
        }
        self.open_reached(cx);
        self.fill_holes(cx);
        if !self.opening.for_next_read.is_empty() {
            self.read_head(cx);
        }
    }

    /// Opens the room for all whose head is reached.
    pub(super) fn open_reached(&mut self, cx: &Cx<'_>) {
        let applied = self.log.applied();
        if self.opening.for_head.is_empty() {
            return;
        }
        let (reached, waiting) = std::mem::take(&mut self.opening.for_head)
            .into_iter()
            .partition(|(head, _)| *head <= applied);
        self.opening.for_head = waiting;
        let reached: Vec<(u64, Join)> = reached;
        self.open_each(cx, reached.into_iter().map(|(_, join)| join), true);
    }

    /// Opens the room for all who wait, with what there is. `current`: that is all that is committed.
    pub(super) fn open_all(&mut self, cx: &Cx<'_>, current: bool) {
        let waiting = std::mem::take(&mut self.opening.for_head);
        self.open_each(cx, waiting.into_iter().map(|(_, join)| join), current);
    }

    /// Opens the room for each of `joins`, and stops following it if that leaves nobody. Only at the end: one who is
    /// refused must not end it for the next, who is not counted yet. `current`: the room has all that was committed
    /// when the joins came.
    pub(super) fn open_each(&mut self, cx: &Cx<'_>, joins: impl IntoIterator<Item = Join>, current: bool) {
        let mut refused = false;
        for join in joins {
            refused |= !self.open(cx, join, current);
        }
        if refused && self.members() == 0 {
            self.unfollow(cx);
        }
    }

    /// Returns whether it did, or will once it is known who is there.
    pub(super) fn open(&mut self, cx: &Cx<'_>, mut join: Join, current: bool) -> bool {
        let beyond = matches!(join.begin, Begin::After(seq) if seq > self.log.applied());
        let refusal = match self.decide(cx, &join.user, Operation::Read) {
            Err(code) => Some(OpenRefusal::denied(code)),
            // It may well be committed; only a store that answers can tell.
            Ok(()) if beyond && !current => Some(OpenRefusal::overloaded()),
            Ok(()) => None,
        };
        if let Some(refusal) = refusal {
            refuse_join(cx, join, refusal);
            return false;
        }
        if join.counts && !self.pictured && cx.context.bus.reaches_others() {
            self.opening.for_pictures.push(join);
            return true;
        }
        let head = self.log.applied();
        let (cursor, reset) = match join.begin {
            Begin::After(seq) if seq < head && planted::has(Bug::ReplayIsOffByOne) => (seq + 1, false),
            Begin::After(seq) if seq <= head => (seq, false),
            Begin::After(_) | Begin::Reset => (head.saturating_sub(DEFAULT_JOIN_EVENTS), true),
            Begin::Newest(count) => (head.saturating_sub(count), false),
        };
        self.presence.enter(&join.user.person);
        let joined = Joined {
            title: Arc::clone(&self.title),
            head,
            role: self.roster.role_of(&join.user, cx.context.clock.now_ms()),
            members: self.presence.count(),
            reset,
        };
        join.guard.cursor = cursor;
        let connection = join.guard.connection().clone();
        self.index.insert(join.subscriber, self.subscribers.len());
        self.subscribers.push(Subscriber {
            id: join.subscriber,
            user: join.user,
            outbox: join.outbox,
            feed: Feed::Held,
            guard: join.guard,
        });
        let opened = ConnectionMsg::Opened {
            room: cx.room.clone(),
            subscriber: join.subscriber,
            result: Ok(joined),
        };
        let _ = connection.cast(opened);
        self.presence_changed(cx);
        true
    }
}

fn refuse_join(cx: &Cx<'_>, mut join: Join, refusal: OpenRefusal) {
    join.guard.disarm();
    let refused = ConnectionMsg::Opened {
        room: cx.room.clone(),
        subscriber: join.subscriber,
        result: Err(refusal),
    };
    let _ = join.guard.connection().cast(refused);
}
