//! One room's log in memory.

use std::{collections::HashMap, sync::Arc};

use protocol::{Event, EventBody, Person, RoomChange, client::PageBound, event::RoomValue};

use crate::{
    planted::{self, Bug},
    ports::{Append, Change, EventPage, NewRoom, Outcome, PageRequest, Refusal, RoomRecord},
    rights::{Membership, RoomRights, Roster},
};

/// A room: its record, its events in their present state, and what is needed to judge the next entry.
pub(super) struct RoomLog {
    record: RoomRecord,
    roster: Roster,
    events: Vec<Event>,
    /// By author and `cid`.
    cids: HashMap<(Arc<str>, Arc<str>), u64>,
    /// The `edit` event that holds a message's present text, by message.
    edits: HashMap<u64, u64>,
    /// The first `delete` event of a message, by message.
    deletes: HashMap<u64, u64>,
    /// The last `react` event, by message, person and emoji.
    reactions: HashMap<(u64, Arc<str>, Arc<str>), u64>,
}

impl RoomLog {
    pub(super) fn new(room: &NewRoom, now_ms: u64) -> Self {
        let rights = RoomRights {
            visibility: room.visibility,
            ..RoomRights::default()
        };
        let mut log = Self {
            record: RoomRecord {
                name: room.name.clone(),
                title: Arc::clone(&room.title),
                topic: "".into(),
                rights,
                head: 0,
                created_at: now_ms,
            },
            roster: Roster::new(rights, []),
            events: Vec::new(),
            cids: HashMap::new(),
            edits: HashMap::new(),
            deletes: HashMap::new(),
            reactions: HashMap::new(),
        };
        for entry in room.first_entries() {
            log.append(&entry, now_ms);
        }
        log
    }

    /// Everybody of whom something is known, in the order of their ids.
    pub(super) fn members(&self) -> Vec<Membership> {
        let mut members: Vec<_> = self.roster.members().cloned().collect();
        members.sort_by(|a, b| a.id().cmp(b.id()));
        members
    }

    /// Whether somebody has a role here, or is invited.
    pub(super) fn concerns(&self, id: &str) -> bool {
        self.roster
            .get(id)
            .is_some_and(|member| member.role.is_some() || member.invited)
    }

    pub(super) fn record(&self) -> &RoomRecord {
        &self.record
    }

    pub(super) fn page(&self, request: PageRequest) -> EventPage {
        let bound = |seq: u64| usize::try_from(seq).map_or(self.events.len(), |n| n.min(self.events.len()));
        match request.bound {
            PageBound::Newest => EventPage::cut(self.events.iter().rev().cloned(), request),
            PageBound::Before(seq) => {
                let older = &self.events[..bound(seq.saturating_sub(1))];
                EventPage::cut(older.iter().rev().cloned(), request)
            }
            PageBound::After(seq) => EventPage::cut(self.events[bound(seq)..].iter().cloned(), request),
        }
    }

    /// Judges one entry and, if it is to be written, writes it.
    pub(super) fn append(&mut self, entry: &Append, now_ms: u64) -> Outcome {
        let known = entry.cid.as_ref().and_then(|cid| {
            let key = (Arc::clone(&entry.author.id), Arc::clone(cid));
            self.cids.get(&key)
        });
        if let Some(seq) = known.filter(|_| !planted::has(Bug::RepeatsAreStored)) {
            return self.known(*seq);
        }
        if let Err(outcome) = self.judge(entry) {
            return outcome;
        }
        self.write(entry, now_ms)
    }

    fn judge(&self, entry: &Append) -> Result<(), Outcome> {
        let refused = |refusal| Err(Outcome::Refused(refusal));
        match &entry.change {
            Change::Message { reply_to, .. } => match reply_to {
                Some(target) if self.author_of(*target).is_none() => refused(Refusal::NotFound),
                _ => Ok(()),
            },
            Change::Edit { target, .. } => match self.author_of(*target) {
                None => refused(Refusal::NotFound),
                Some(_) if self.deletes.contains_key(target) => refused(Refusal::NotFound),
                Some(author) if author.id != entry.author.id => refused(Refusal::Forbidden),
                Some(_) => Ok(()),
            },
            Change::Delete { target, any_author } => match self.author_of(*target) {
                None => refused(Refusal::NotFound),
                Some(author) => match self.deletes.get(target) {
                    Some(first) => Err(self.known(*first)),
                    None if !any_author && author.id != entry.author.id => refused(Refusal::Forbidden),
                    None => Ok(()),
                },
            },
            Change::React { target, emoji, on } => {
                if self.author_of(*target).is_none() || self.deletes.contains_key(target) {
                    return refused(Refusal::NotFound);
                }
                let key = (*target, Arc::clone(&entry.author.id), Arc::clone(emoji));
                match self.reactions.get(&key) {
                    None if !on => refused(Refusal::NotFound),
                    Some(seq) if self.is_on(*seq) == *on => Err(self.known(*seq)),
                    _ => Ok(()),
                }
            }
            Change::Member { .. } if self.roster.would_lose_its_owner(&entry.change) => {
                refused(Refusal::Conflict)
            }
            Change::Member { .. } | Change::Room { .. } => Ok(()),
        }
    }

    fn write(&mut self, entry: &Append, now_ms: u64) -> Outcome {
        let seq = self.record.head + 1;
        let at = self.events.last().map_or(now_ms, |last| last.at.max(now_ms));
        match &entry.change {
            Change::Edit { target, text } => self.replace_text(*target, text, Some((seq, at))),
            Change::Delete { target, .. } => {
                self.replace_text(*target, &"".into(), None);
                self.deletes.insert(*target, seq);
            }
            Change::React { target, emoji, .. } => {
                let key = (*target, Arc::clone(&entry.author.id), Arc::clone(emoji));
                self.reactions.insert(key, seq);
            }
            Change::Room {
                change,
                value: RoomValue::Text(value),
            } => match change {
                RoomChange::Title => self.record.title = Arc::clone(value),
                RoomChange::Topic => self.record.topic = Arc::clone(value),
                _ => {}
            },
            Change::Message { .. } | Change::Member { .. } | Change::Room { .. } => {}
        }
        if let Some(cid) = &entry.cid {
            self.cids
                .insert((Arc::clone(&entry.author.id), Arc::clone(cid)), seq);
        }
        let event = entry.to_event(seq, at);
        self.roster.apply(&event);
        self.record.rights = self.roster.rights();
        self.events.push(event);
        self.record.head = seq;
        Outcome::Written { seq, at }
    }

    /// Gives the message another text: that of an edit (its `seq` and `at`), or none for good.
    fn replace_text(&mut self, target: u64, new: &Arc<str>, edit: Option<(u64, u64)>) {
        let previous = match edit {
            Some((seq, _)) => self.edits.insert(target, seq),
            None => self.edits.remove(&target),
        };
        if let Some(EventBody::Edit { text, .. }) = previous.and_then(|seq| self.body_mut(seq)) {
            *text = None;
        }
        if let Some(EventBody::Message {
            text,
            edited_at,
            deleted,
            ..
        }) = self.body_mut(target)
        {
            *text = Arc::clone(new);
            match edit {
                Some((_, at)) => *edited_at = Some(at),
                None => *deleted = true,
            }
        }
    }

    fn known(&self, seq: u64) -> Outcome {
        let at = self.event(seq).map_or(0, |event| event.at);
        Outcome::Known { seq, at }
    }

    fn is_on(&self, seq: u64) -> bool {
        matches!(
            self.event(seq).map(|event| &event.body),
            Some(EventBody::React { on: true, .. })
        )
    }

    /// Who wrote here with a `cid` under that id.
    pub(super) fn author(&self, id: &str) -> Option<Person> {
        let theirs = |event: &&Event| *event.user.id == *id && event.cid.is_some();
        self.events
            .iter()
            .rev()
            .find(theirs)
            .map(|event| event.user.clone())
    }

    /// The author of the message at `seq`; `None` if there is no message.
    fn author_of(&self, seq: u64) -> Option<&Person> {
        let event = self.event(seq)?;
        matches!(event.body, EventBody::Message { .. }).then_some(&event.user)
    }

    fn event(&self, seq: u64) -> Option<&Event> {
        self.events.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    fn body_mut(&mut self, seq: u64) -> Option<&mut EventBody> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.events.get_mut(index).map(|event| &mut event.body)
    }
}
