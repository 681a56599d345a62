//! What is to be written, until it is answered for good.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use protocol::{Command, RoomName};
use tokio::time::Instant;

use super::{What, Write};
use crate::journal::{Clock, Op, What as Entry, text_digest};

/// A command under way.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) command: Command,
    pub(super) due: Instant,
    /// Was written to a connection before.
    pub(super) sent: bool,
}

/// Commands that have no final answer yet.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Not sent on the present connection, in their order.
    queue: VecDeque<Pending>,
    /// To be sent again, when.
    later: Vec<(Instant, Pending)>,
    /// Sent on a connection and not answered there, by room and `cid`.
    under_way: HashMap<(RoomName, Arc<str>), Pending>,
    /// The person's own last message, and the last one of anybody, by room.
    own: HashMap<RoomName, u64>,
    last: HashMap<RoomName, u64>,
}

impl Pending {
    pub(super) fn room(&self) -> Option<&RoomName> {
        self.command.room()
    }

    pub(super) fn cid(&self) -> &str {
        self.command.cid().unwrap_or_default()
    }

    /// As it is written down when it is sent.
    pub(super) fn as_sent(&self, clock: &Clock) -> Entry {
        let (op, text, target) = self.digest();
        Entry::Sent {
            room: self.room().map(RoomName::to_string).unwrap_or_default(),
            cid: self.cid().to_owned(),
            op,
            text,
            target,
            due: clock.of(self.due.into_std()),
        }
    }

    /// Which command, the digest of its text, and the message that it is about.
    fn digest(&self) -> (Op, u32, u64) {
        match &self.command {
            Command::Edit { seq, text, .. } => (Op::Edit, text_digest(text), *seq),
            Command::Delete { seq, .. } => (Op::Delete, 0, *seq),
            Command::React { seq, .. } => (Op::React, 0, *seq),
            Command::Send { text, .. } => (Op::Send, text_digest(text), 0),
            _ => (Op::Send, 0, 0),
        }
    }
}

impl Writes {
    /// Takes a wish in; `false` if it comes to nothing.
    pub(super) fn add(&mut self, write: Write) -> bool {
        let Write { room, cid, what, due } = write;
        let own = self.own.get(&room).copied();
        let last = self.last.get(&room).copied();
        let command = match (what, own, last) {
            (What::EditLast(text), Some(seq), _) => Command::Edit { room, cid, seq, text },
            (What::Say(text) | What::EditLast(text), ..) => Command::Send {
                room,
                cid,
                text,
                reply_to: None,
            },
            (What::DeleteLast, Some(seq), _) => Command::Delete { room, cid, seq },
            (What::React(emoji, on), _, Some(seq)) => Command::React {
                room,
                cid,
                seq,
                emoji,
                on,
            },
            (What::DeleteLast | What::React(..), ..) => return false,
        };
        if let Command::Delete { room, .. } = &command {
            self.own.remove(room);
        }
        self.queue.push_back(Pending {
            command,
            due,
            sent: false,
        });
        true
    }

    /// Takes note of a message that was shown.
    pub(super) fn shown(&mut self, room: &RoomName, seq: u64) {
        self.last.insert(room.clone(), seq);
    }

    /// The last message that was shown in this room.
    pub(super) fn last_shown(&self, room: &RoomName) -> Option<u64> {
        self.last.get(room).copied()
    }

    /// The next one whose room is open.
    pub(super) fn next(&mut self, now: Instant, open: impl Fn(&RoomName) -> bool) -> Option<Pending> {
        while let Some(place) = self.later.iter().position(|(due, _)| *due <= now) {
            let (_, pending) = self.later.swap_remove(place);
            self.queue.push_back(pending);
        }
        let ready = |pending: &Pending| pending.room().is_some_and(&open);
        let place = self.queue.iter().position(ready)?;
        self.queue.remove(place)
    }

    /// Whether something may be sent as soon as there is room for it.
    pub(super) fn wait_to_be_sent(&self) -> bool {
        !self.queue.is_empty()
    }

    /// When [`Writes::next`] has to be asked again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.iter().map(|(due, _)| *due).min()
    }

    pub(super) fn sent(&mut self, mut pending: Pending) {
        pending.sent = true;
        if let Some(room) = pending.room() {
            self.under_way
                .insert((room.clone(), pending.cid().into()), pending);
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The connection is gone, or another takes over: what is not answered is sent again.
    pub(super) fn again(&mut self) {
        let mut all: Vec<Pending> = self.under_way.drain().map(|(_, pending)| pending).collect();
        all.sort_by_key(|pending| std::cmp::Reverse(pending.due));
        for pending in all {
            self.queue.push_front(pending);
        }
    }

    /// It was answered with `ok`; when it was due, if that was still waited for.
    pub(super) fn acked(&mut self, room: &RoomName, cid: &Arc<str>, seq: u64) -> Option<Instant> {
        let pending = self.take(room, cid)?;
        if matches!(pending.command, Command::Send { .. }) {
            self.own.insert(room.clone(), seq);
        }
        Some(pending.due)
    }

    /// It is to be sent again at that time.
    pub(super) fn retry(&mut self, room: &RoomName, cid: &Arc<str>, at: Instant) {
        if let Some(pending) = self.under_way.remove(&(room.clone(), Arc::clone(cid))) {
            self.later.push((at, pending));
        }
    }

    /// It is over, or the answer of another connection has ended it; whether it was still waited for.
    pub(super) fn refused(&mut self, room: &RoomName, cid: &Arc<str>) -> bool {
        self.take(room, cid).is_some()
    }

    /// Forgets it, wherever it waits.
    fn take(&mut self, room: &RoomName, cid: &Arc<str>) -> Option<Pending> {
        if let Some(pending) = self.under_way.remove(&(room.clone(), Arc::clone(cid))) {
            return Some(pending);
        }
        let is_it = |pending: &Pending| pending.room() == Some(room) && pending.cid() == &**cid;
        if let Some(place) = self.queue.iter().position(is_it) {
            return self.queue.remove(place);
        }
        let place = self.later.iter().position(|(_, pending)| is_it(pending))?;
        Some(self.later.swap_remove(place).1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.later.is_empty() && self.under_way.is_empty()
    }
}
