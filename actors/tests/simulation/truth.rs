//! What is committed, as the simulated store's side saw it: what everybody else is measured by.

use std::{collections::BTreeMap, sync::Arc};

use actors::ports::{Append, Change, Outcome};
use protocol::{Event, EventBody, MemberChange, RoomName};

/// The logs of all rooms.
#[derive(Default)]
pub(crate) struct Truth {
    logs: BTreeMap<RoomName, Log>,
}

/// One room's log.
#[derive(Default)]
pub(crate) struct Log {
    events: Vec<Committed>,
    by_cid: BTreeMap<(Arc<str>, Arc<str>), u64>,
    /// Who was a member from which `seq` on, and who was none, in order.
    memberships: Vec<(u64, Arc<str>, bool)>,
}

/// One event.
pub(crate) struct Committed {
    pub(crate) author: Arc<str>,
    pub(crate) cid: Option<Arc<str>>,
    pub(crate) change: Change,
    at: u64,
    committed_ms: u64,
    /// Of a message: every text that it has had, and whether it was deleted.
    texts: Vec<Arc<str>>,
    deleted: bool,
}

impl Truth {
    /// Takes over what the store has just done.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub(crate) fn record(
        &mut self,
        batch: &[Append],
        outcomes: &[Outcome],
        now_ms: u64,
    ) -> Result<(), String> {
        for (append, outcome) in batch.iter().zip(outcomes) {
            if let Outcome::Written { seq, at } = *outcome {
                let log = self.logs.entry(append.room.clone()).or_default();
                log.write(append, seq, at, now_ms)?;
            }
        }
        Ok(())
    }

    pub(crate) fn log(&self, room: &RoomName) -> Option<&Log> {
        self.logs.get(room)
    }

    pub(crate) fn head(&self, room: &RoomName) -> u64 {
        self.log(room).map_or(0, Log::head)
    }

    /// The head as it was at `ms`.
    pub(crate) fn head_at(&self, room: &RoomName, ms: u64) -> u64 {
        self.log(room).map_or(0, |log| {
            log.events.partition_point(|event| event.committed_ms <= ms) as u64
        })
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = (&RoomName, &Log)> {
        self.logs.iter()
    }
}

impl Log {
    pub(crate) fn head(&self) -> u64 {
        self.events.len() as u64
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Committed> {
        self.events.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    /// How often something with this `cid` of this author is stored, and where.
    pub(crate) fn find(&self, author: &str, cid: &str) -> Option<u64> {
        self.by_cid.get(&(author.into(), cid.into())).copied()
    }

    /// Whether somebody could read the event at `seq` at any time: before they were removed, or as a member later on.
    pub(crate) fn could_read(&self, id: &str, seq: u64) -> bool {
        let mut theirs = self.memberships.iter().filter(|(_, who, _)| **who == *id);
        let before = theirs.clone().take_while(|(from, _, _)| *from <= seq).last();
        before.is_none_or(|(_, _, member)| *member) || theirs.any(|(from, _, member)| *from > seq && *member)
    }

    fn write(&mut self, append: &Append, seq: u64, at: u64, now_ms: u64) -> Result<(), String> {
        if seq != self.head() + 1 {
            return Err(format!("the store wrote {seq} behind {}", self.head()));
        }
        let author = Arc::clone(&append.author.id);
        if let Some(cid) = &append.cid
            && let Some(first) = self.by_cid.insert((Arc::clone(&author), Arc::clone(cid)), seq)
        {
            return Err(format!(
                "retry is safe: `{cid}` of {author} is stored twice, as {first} and {seq}"
            ));
        }
        let mut texts = Vec::new();
        match &append.change {
            Change::Message { text, .. } => texts.push(Arc::clone(text)),
            Change::Edit { target, text } => {
                if let Some(message) = self.get_mut(*target) {
                    message.texts.push(Arc::clone(text));
                }
            }
            Change::Delete { target, .. } => {
                if let Some(message) = self.get_mut(*target) {
                    message.deleted = true;
                }
            }
            Change::Member { change, who, .. } => match change {
                MemberChange::Joined => self.memberships.push((seq, Arc::clone(&who.id), true)),
                MemberChange::Removed => self.memberships.push((seq, Arc::clone(&who.id), false)),
                _ => {}
            },
            _ => {}
        }
        self.events.push(Committed {
            author,
            cid: append.cid.clone(),
            change: append.change.clone(),
            at,
            committed_ms: now_ms,
            texts,
            deleted: false,
        });
        Ok(())
    }

    fn get_mut(&mut self, seq: u64) -> Option<&mut Committed> {
        self.events.get_mut(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    /// Whether `event` is committed now, and says what was written.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub(crate) fn check(&self, event: &Event) -> Result<(), String> {
        let seq = event.seq;
        let Some(known) = self.get(seq) else {
            return Err(format!(
                "durable before visible: {seq} is shown, and the head in the store is {}",
                self.head()
            ));
        };
        let same = event.user.id == known.author && event.cid == known.cid && event.at == known.at;
        if same && known.is_shown_as(&event.body) {
            Ok(())
        } else {
            Err(format!(
                "durable before visible: {seq} is shown as {event:?}, and stored is {:?} of {}",
                known.change, known.author
            ))
        }
    }
}

impl Committed {
    fn is_shown_as(&self, body: &EventBody) -> bool {
        match (&self.change, body) {
            (
                Change::Message { .. },
                EventBody::Message {
                    text, deleted: true, ..
                },
            ) => self.deleted && text.is_empty(),
            (Change::Message { .. }, EventBody::Message { text, .. }) => self.texts.contains(text),
            (Change::Edit { target, text }, EventBody::Edit { target: t, text: x }) => {
                target == t && x.as_ref().is_none_or(|x| x == text)
            }
            (Change::Delete { target, .. }, EventBody::Delete { target: t }) => target == t,
            (
                Change::React { target, emoji, on },
                EventBody::React {
                    target: t,
                    emoji: e,
                    on: o,
                },
            ) => target == t && emoji == e && on == o,
            (
                Change::Member { change, who, .. },
                EventBody::Member {
                    change: c, who: w, ..
                },
            ) => change == c && who == w,
            (Change::Room { change, .. }, EventBody::Room { change: c, .. }) => change == c,
            _ => false,
        }
    }
}
