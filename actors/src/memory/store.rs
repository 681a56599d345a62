//! A [`Store`] in memory that can be told to fail.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use protocol::{Person, RoomName};

use super::{book::Book, log::RoomLog};
use crate::{
    ports::{
        Append, EventPage, InviteLink, LoadedRoom, NewRoom, Outcome, PageRequest, ReadMark, Refusal,
        RoomQuery, RoomRecord, RoomToLoad, Store, StoreError, StoreStatus, search_text,
    },
    rights::{Membership, Visibility},
};

/// A correct store that forgets everything with its last handle, with faults to order. A test double.
///
/// A clone is the same handle: it shares data, faults and counters. [`MemoryStore::another_node`] shares only the data.
#[derive(Clone, Default)]
pub struct MemoryStore {
    data: Arc<Mutex<Data>>,
    link: Arc<Mutex<Link>>,
}

/// The calls of a [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the methods")]
pub enum Call {
    Append,
    Records,
    CreateRooms,
    Rooms,
    Members,
    Invites,
    Heads,
    Page,
    LoadRooms,
    Author,
    MarkRead,
    ReadMark,
    SharedKey,
    Status,
    NewEpoch,
    /// Any call of [`Accounts`](crate::ports::Accounts).
    Accounts,
}

/// How a call fails.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing is done.
    Refuse(StoreError),
    /// It is done, but the answer is this error.
    LoseAnswer(StoreError),
    /// It is done at once, but answered so much later, in tokio's time.
    Late(Duration),
    /// Nothing is done, and the caller's task panics, as with a fault in an adapter.
    Panic,
}

#[derive(Default)]
pub(super) struct Data {
    pub(super) accounts: Book,
    rooms: BTreeMap<RoomName, RoomLog>,
    invites: Vec<InviteLink>,
    marks: HashMap<(RoomName, Arc<str>), u64>,
    keys: HashMap<String, [u8; 32]>,
    epoch: Option<Arc<str>>,
    clock_ms: Option<u64>,
}

/// What lies between one node and the data.
#[derive(Default)]
struct Link {
    rules: Vec<Rule>,
    calls: HashMap<Call, u64>,
    delay_before: Duration,
    delay_after: Duration,
}

struct Rule {
    on: Option<Call>,
    left: Option<u32>,
    fault: Fault,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle on the same data with its own faults, delays and counters: the store as another node sees it.
    pub fn another_node(&self) -> Self {
        Self {
            data: Arc::clone(&self.data),
            link: Arc::default(),
        }
    }

    /// Lets the next `times` calls fail; only those of the kind `on` if it is given.
    pub fn fail_next(&self, on: impl Into<Option<Call>>, times: u32, fault: Fault) {
        self.add_rule(on.into(), Some(times), fault);
    }

    /// Lets all calls fail until [`MemoryStore::heal`]; only those of the kind `on` if it is given.
    pub fn fail_all(&self, on: impl Into<Option<Call>>, fault: Fault) {
        self.add_rule(on.into(), None, fault);
    }

    /// Ends all faults and delays.
    pub fn heal(&self) {
        let mut link = self.link.lock();
        link.rules.clear();
        link.delay_before = Duration::ZERO;
        link.delay_after = Duration::ZERO;
    }

    /// Delays each call by `before` until it takes effect and by `after` until it is answered, in tokio's time.
    pub fn set_delay(&self, before: Duration, after: Duration) {
        let mut link = self.link.lock();
        link.delay_before = before;
        link.delay_after = after;
    }

    /// Puts what `backup` holds in the place of all that there is, for every handle, and begins a new epoch, as an
    /// operator does who restores a backup. `backup` is empty afterwards.
    pub fn restore(&self, backup: &Self) {
        let mut data = std::mem::take(&mut *backup.data.lock());
        data.new_epoch();
        *self.data.lock() = data;
    }

    /// Sets the store's clock, in Unix milliseconds; it stands still from then on. `None`: the system's clock.
    pub fn set_clock(&self, now_ms: Option<u64>) {
        self.data.lock().clock_ms = now_ms;
    }

    /// How many calls of this kind were made, failed ones included.
    pub fn calls(&self, call: Call) -> u64 {
        self.link.lock().calls.get(&call).copied().unwrap_or(0)
    }

    fn add_rule(&self, on: Option<Call>, left: Option<u32>, fault: Fault) {
        self.link.lock().rules.push(Rule { on, left, fault });
    }

    /// Does `work` on the data, with the delays and faults that were ordered.
    pub(super) async fn call<T>(
        &self,
        call: Call,
        work: impl FnOnce(&mut Data) -> T,
    ) -> Result<T, StoreError> {
        let (fault, before, after) = {
            let mut link = self.link.lock();
            *link.calls.entry(call).or_default() += 1;
            (link.take_fault(call), link.delay_before, link.delay_after)
        };
        pause(before).await;
        match &fault {
            Some(Fault::Refuse(error)) => return Err(error.clone()),
            #[allow(clippy::panic, reason = "that is what was ordered")]
            Some(Fault::Panic) => panic!("a panic in {call:?}, as ordered"),
            Some(Fault::LoseAnswer(_) | Fault::Late(_)) | None => {}
        }
        let answer = work(&mut self.data.lock());
        pause(after).await;
        match fault {
            Some(Fault::Late(late)) => {
                pause(late).await;
                Ok(answer)
            }
            Some(Fault::LoseAnswer(error)) => Err(error),
            _ => Ok(answer),
        }
    }
}

impl Link {
    fn take_fault(&mut self, call: Call) -> Option<Fault> {
        self.rules.retain(|rule| rule.left != Some(0));
        let rule = self
            .rules
            .iter_mut()
            .find(|rule| rule.on.is_none_or(|on| on == call))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.fault.clone())
    }
}

impl Data {
    pub(super) fn now_ms(&self) -> u64 {
        let system = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        self.clock_ms.unwrap_or_else(system)
    }

    fn append(&mut self, batch: &[Append]) -> Vec<Outcome> {
        let now_ms = self.now_ms();
        let mut outcomes = Vec::with_capacity(batch.len());
        for entry in batch {
            let outcome = match self.rooms.get_mut(&entry.room) {
                Some(log) => log.append(entry, now_ms),
                None => Outcome::Refused(Refusal::NotFound),
            };
            if let (Outcome::Written { .. }, Some(audit)) = (outcome, entry.audit()) {
                self.accounts.record(&audit, now_ms);
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    fn create(&mut self, room: &NewRoom) -> (RoomRecord, bool) {
        let now_ms = self.now_ms();
        let made = !self.rooms.contains_key(&room.name);
        if made {
            for audit in room.first_entries().iter().filter_map(Append::audit) {
                self.accounts.record(&audit, now_ms);
            }
        }
        let log = self
            .rooms
            .entry(room.name.clone())
            .or_insert_with(|| RoomLog::new(room, now_ms));
        (log.record().clone(), made)
    }

    fn load(&self, room: &RoomToLoad, recent: PageRequest) -> Option<LoadedRoom> {
        let log = self.rooms.get(&room.name)?;
        let recent = if room.wants_events(log.record()) {
            log.page(recent)
        } else {
            EventPage::default()
        };
        Some(LoadedRoom {
            record: log.record().clone(),
            recent,
            members: log.members(),
        })
    }

    fn mark_read(&mut self, marks: &[ReadMark]) {
        for mark in marks.iter().filter(|mark| self.rooms.contains_key(&mark.room)) {
            let key = (mark.room.clone(), Arc::clone(&mark.user));
            let seq = self.marks.entry(key).or_default();
            *seq = mark.seq.max(*seq);
        }
    }

    fn new_epoch(&mut self) -> Arc<str> {
        let epoch: Arc<str> = format!("{:032x}", fastrand::u128(..)).into();
        self.epoch = Some(Arc::clone(&epoch));
        epoch
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Outcome>, StoreError> {
        self.call(Call::Append, |data| data.append(batch)).await
    }

    async fn records(&self, names: &[RoomName]) -> Result<Vec<Option<RoomRecord>>, StoreError> {
        self.call(Call::Records, |data| {
            let record = |name| data.rooms.get(name).map(|log| log.record().clone());
            names.iter().map(record).collect()
        })
        .await
    }

    async fn create_rooms(&self, rooms: &[NewRoom]) -> Result<Vec<(RoomRecord, bool)>, StoreError> {
        self.call(Call::CreateRooms, |data| {
            rooms.iter().map(|room| data.create(room)).collect()
        })
        .await
    }

    async fn rooms(&self, query: &RoomQuery) -> Result<Vec<RoomRecord>, StoreError> {
        self.call(Call::Rooms, |data| {
            data.rooms
                .values()
                .filter(|log| is_asked_for(log, query))
                .take(usize::try_from(query.limit).unwrap_or(usize::MAX))
                .map(|log| log.record().clone())
                .collect()
        })
        .await
    }

    async fn members(&self, room: &RoomName) -> Result<Vec<Membership>, StoreError> {
        self.call(Call::Members, |data| {
            data.rooms.get(room).map(RoomLog::members).unwrap_or_default()
        })
        .await
    }

    async fn add_invite(&self, link: &InviteLink) -> Result<(), StoreError> {
        self.call(Call::Invites, |data| data.invites.push(link.clone()))
            .await
    }

    async fn invites(&self, room: &RoomName) -> Result<Vec<InviteLink>, StoreError> {
        self.call(Call::Invites, |data| {
            let mut links: Vec<_> = data
                .invites
                .iter()
                .filter(|link| link.room == *room)
                .cloned()
                .collect();
            links.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
            links
        })
        .await
    }

    async fn invite(&self, secret_hash: &[u8; 32], now_ms: u64) -> Result<Option<InviteLink>, StoreError> {
        self.call(Call::Invites, |data| {
            let usable = |link: &&InviteLink| link.secret_hash == *secret_hash && link.is_usable(now_ms);
            data.invites.iter().find(usable).cloned()
        })
        .await
    }

    async fn use_invite(&self, id: &str, now_ms: u64) -> Result<bool, StoreError> {
        self.call(Call::Invites, |data| {
            let link = data
                .invites
                .iter_mut()
                .find(|link| *link.id == *id && link.is_usable(now_ms));
            link.is_some_and(|link| {
                link.uses_left = link.uses_left.map(|left| left - 1);
                true
            })
        })
        .await
    }

    async fn return_invite(&self, id: &str) -> Result<(), StoreError> {
        self.call(Call::Invites, |data| {
            if let Some(link) = data.invites.iter_mut().find(|link| *link.id == *id) {
                link.uses_left = link.uses_left.map(|left| left + 1);
            }
        })
        .await
    }

    async fn remove_invite(&self, room: &RoomName, id: &str) -> Result<bool, StoreError> {
        self.call(Call::Invites, |data| {
            let before = data.invites.len();
            data.invites.retain(|link| *link.id != *id || link.room != *room);
            data.invites.len() < before
        })
        .await
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<u64>, StoreError> {
        self.call(Call::Heads, |data| {
            let head = |name| data.rooms.get(name).map_or(0, |log| log.record().head);
            rooms.iter().map(head).collect()
        })
        .await
    }

    async fn page(&self, room: &RoomName, request: PageRequest) -> Result<EventPage, StoreError> {
        self.call(Call::Page, |data| {
            let page = |log: &RoomLog| log.page(request);
            data.rooms.get(room).map(page).unwrap_or_default()
        })
        .await
    }

    async fn load_rooms(
        &self,
        rooms: &[RoomToLoad],
        recent: PageRequest,
    ) -> Result<Vec<Option<LoadedRoom>>, StoreError> {
        self.call(Call::LoadRooms, |data| {
            rooms.iter().map(|room| data.load(room, recent)).collect()
        })
        .await
    }

    async fn author(&self, room: &RoomName, id: &str) -> Result<Option<Person>, StoreError> {
        self.call(Call::Author, |data| data.rooms.get(room)?.author(id))
            .await
    }

    async fn mark_read(&self, marks: &[ReadMark]) -> Result<(), StoreError> {
        self.call(Call::MarkRead, |data| data.mark_read(marks)).await
    }

    async fn read_mark(&self, room: &RoomName, user: &str) -> Result<Option<u64>, StoreError> {
        self.call(Call::ReadMark, |data| {
            data.marks.get(&(room.clone(), user.into())).copied()
        })
        .await
    }

    async fn shared_key(&self, name: &str) -> Result<[u8; 32], StoreError> {
        self.call(Call::SharedKey, |data| {
            let random = || std::array::from_fn(|_| fastrand::u8(..));
            *data.keys.entry(name.to_owned()).or_insert_with(random)
        })
        .await
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        self.call(Call::Status, |data| StoreStatus {
            now_ms: data.now_ms(),
            epoch: data.epoch.clone().unwrap_or_else(|| data.new_epoch()),
        })
        .await
    }

    async fn new_epoch(&self) -> Result<Arc<str>, StoreError> {
        self.call(Call::NewEpoch, Data::new_epoch).await
    }

    async fn close(&self) {}
}

fn is_asked_for(log: &RoomLog, query: &RoomQuery) -> bool {
    let record = log.record();
    let seen = match &query.seen_by {
        Some(id) => record.rights.visibility == Visibility::Public || log.concerns(id),
        None => record.rights.visibility != Visibility::Direct,
    };
    let found = query
        .search
        .as_ref()
        .is_none_or(|text| search_text(&record.name, &record.title).contains(&text.to_lowercase()));
    seen && found && query.after.as_ref().is_none_or(|after| record.name > *after)
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
