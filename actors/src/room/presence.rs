//! Who is in a room, over the whole cluster. Pure: time is an argument.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use protocol::{
    Person,
    limits::{MAX_PRESENCE_USERS, MAX_SEQ},
};
use tokio::time::Instant;

/// A node's picture that was not renewed for this long is forgotten: the node is gone, or has nobody here any more.
pub(super) const PICTURE_LIFETIME: Duration = Duration::from_secs(30);

/// Pictures of so many people are sent whole; of larger ones, what changed.
const SMALL_PICTURE: usize = 16;
/// A node whose picture is not the one that its changes are about is asked for it at most this often.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// People in a room: those on this node by connection, those on other nodes by the picture that each sends.
#[derive(Default)]
pub(super) struct Presence {
    local: HashMap<Arc<str>, (Person, usize)>,
    /// Who came, went or has another name since the others were last told, with what they were told.
    untold: HashMap<Arc<str>, Option<Person>>,
    /// Counts what the others were told.
    version: u64,
    /// Whether they were told names.
    told_names: bool,
    remote: HashMap<Arc<str>, Picture>,
    shown: BTreeMap<Arc<str>, Person>,
    shown_count: u64,
}

struct Picture {
    version: u64,
    count: u64,
    users: HashMap<Arc<str>, Person>,
    seen: Instant,
    asked: Option<Instant>,
}

/// What a node tells the others of its people in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// All of them, or only how many.
    Whole(Whole),
    /// What changed since `base`; nothing, where a picture is only renewed.
    Change(Change),
}

/// What news of another node's people come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing new.
    Known,
    /// Somebody came or went.
    Changed,
    /// They are about another picture than the one that is known here: the node is to be asked for its own.
    Missed,
}

/// A node's whole picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) version: u64,
    pub(super) count: u64,
    pub(super) users: Vec<Person>,
}

/// A change of a node's picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) base: u64,
    pub(super) version: u64,
    pub(super) joined: Vec<Person>,
    pub(super) left: Vec<Arc<str>>,
}

/// What changed since members were last told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) count: u64,
    /// Who came, or has another name, and who went; `None` in rooms above the limit for naming people.
    pub(super) people: Option<(Vec<Person>, Vec<Person>)>,
}

impl Heard {
    fn changed(changed: bool) -> Self {
        if changed { Self::Changed } else { Self::Known }
    }
}

impl Picture {
    /// Whether this is that picture: the node names its people, or not, as it did.
    fn is(&self, whole: &Whole) -> bool {
        self.version == whole.version && self.count == whole.count && self.users.len() == whole.users.len()
    }
}

impl Presence {
    /// Nobody, in a room that was not active here before: what was told of it then is not mistaken for what is told now.
    pub(super) fn new() -> Self {
        Self {
            version: fastrand::u64(..MAX_SEQ / 2),
            ..Self::default()
        }
    }

    /// A connection of `person` has come.
    pub(super) fn enter(&mut self, person: &Person) {
        if let Some((_, connections)) = self.local.get_mut(&person.id) {
            *connections += 1;
            return;
        }
        self.local.insert(Arc::clone(&person.id), (person.clone(), 1));
        let told = self.untold.remove(&person.id).flatten();
        if told.as_ref() != Some(person) {
            self.untold.insert(Arc::clone(&person.id), told);
        }
    }

    /// A connection of `person` has gone.
    pub(super) fn exit(&mut self, person: &Person) {
        if let Some((_, connections)) = self.local.get_mut(&person.id) {
            *connections -= 1;
            if *connections > 0 {
                return;
            }
            let here = self.local.remove(&person.id).map(|(person, _)| person);
            let told = self.untold.remove(&person.id).unwrap_or(here);
            if told.is_some() {
                self.untold.insert(Arc::clone(&person.id), told);
            }
        }
    }

    /// What the others are to be told, if this node's people changed since they were. Small where little changed.
    pub(super) fn news(&mut self, people_limit: u64) -> Option<News> {
        if self.untold.is_empty() {
            return None;
        }
        let names = self.names(people_limit);
        let small = self.local.len() <= SMALL_PICTURE || self.untold.len() > self.local.len() / 2;
        if !(names && self.told_names) || small {
            return Some(News::Whole(self.whole(people_limit)));
        }
        let base = self.version;
        self.version += 1;
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for (id, _) in self.untold.drain() {
            match self.local.get(&id) {
                Some((person, _)) => joined.push(person.clone()),
                None => left.push(id),
            }
        }
        Some(News::Change(Change {
            base,
            version: self.version,
            joined,
            left,
        }))
    }

    /// What the others are told from time to time, so that they do not forget this node's people.
    pub(super) fn renewal(&mut self, people_limit: u64) -> News {
        if let Some(news) = self.news(people_limit) {
            return news;
        }
        // Who has nobody is not remembered, and those who only count are told in a few bytes.
        if self.local.is_empty() || !self.told_names {
            return News::Whole(self.whole(people_limit));
        }
        News::Change(Change {
            base: self.version,
            version: self.version,
            joined: Vec::new(),
            left: Vec::new(),
        })
    }

    /// This node's picture for who does not know it: how many, and who unless there are more than `people_limit`.
    pub(super) fn whole(&mut self, people_limit: u64) -> Whole {
        if !self.untold.is_empty() {
            self.untold.clear();
            self.version += 1;
        }
        self.told_names = self.names(people_limit);
        let people = self.local.values().map(|(person, _)| person.clone());
        Whole {
            version: self.version,
            count: self.local.len() as u64,
            users: people.filter(|_| self.told_names).collect(),
        }
    }

    fn names(&self, people_limit: u64) -> bool {
        self.local.len() as u64 <= people_limit
    }

    /// Another node tells what it sees.
    pub(super) fn set_remote(&mut self, node: Arc<str>, whole: Whole, now: Instant) -> Heard {
        if whole.count == 0 {
            return Heard::changed(self.remote.remove(&node).is_some());
        }
        if let Some(known) = self.remote.get_mut(&node)
            && known.is(&whole)
        {
            known.seen = now;
            known.asked = None;
            return Heard::Known;
        }
        let users = whole.users.into_iter();
        let picture = Picture {
            version: whole.version,
            count: whole.count,
            users: users.map(|person| (Arc::clone(&person.id), person)).collect(),
            seen: now,
            asked: None,
        };
        self.remote.insert(node, picture);
        Heard::Changed
    }

    /// Another node tells what changed.
    pub(super) fn change_remote(&mut self, node: &Arc<str>, change: Change, now: Instant) -> Heard {
        let picture = self.remote.entry(Arc::clone(node)).or_insert_with(|| Picture {
            // Never a version.
            version: u64::MAX,
            count: 0,
            users: HashMap::new(),
            seen: now,
            asked: None,
        });
        picture.seen = now;
        if picture.version == change.version {
            return Heard::Known;
        }
        if picture.version != change.base {
            let due = picture.asked.is_none_or(|asked| now - asked >= ASK_AGAIN_AFTER);
            if due {
                picture.asked = Some(now);
                return Heard::Missed;
            }
            return Heard::Known;
        }
        picture.version = change.version;
        for id in &change.left {
            picture.users.remove(id);
        }
        let joined = change.joined.into_iter();
        picture
            .users
            .extend(joined.map(|person| (Arc::clone(&person.id), person)));
        picture.count = picture.users.len() as u64;
        Heard::Changed
    }

    /// Forgets what these nodes told. Returns whether they had told anything.
    pub(super) fn forget_nodes(&mut self, nodes: &[Arc<str>]) -> bool {
        let before = self.remote.len();
        self.remote.retain(|node, _| !nodes.contains(node));
        self.remote.len() < before
    }

    /// Forgets pictures that were not renewed. Returns whether there were any.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let before = self.remote.len();
        self.remote
            .retain(|_, picture| now.duration_since(picture.seen) < PICTURE_LIFETIME);
        self.remote.len() < before
    }

    /// People in the room. Where a node does not name its people, somebody who is on several nodes counts there again.
    pub(super) fn count(&self) -> u64 {
        let unnamed: u64 = self
            .remote
            .values()
            .filter(|p| p.users.is_empty())
            .map(|p| p.count)
            .sum();
        let elsewhere: HashSet<&str> = self
            .remote
            .values()
            .flat_map(|picture| picture.users.keys())
            .map(|id| &**id)
            .filter(|id| !self.local.contains_key(*id))
            .collect();
        unnamed + (self.local.len() + elsewhere.len()) as u64
    }

    /// At most [`MAX_PRESENCE_USERS`] of the people in the room.
    pub(super) fn users(&self) -> Vec<Person> {
        self.named().into_values().take(MAX_PRESENCE_USERS).collect()
    }

    /// What changed since the last call; `None` if nothing did.
    pub(super) fn difference(&mut self, people_limit: u64) -> Option<Difference> {
        let count = self.count();
        if count > people_limit {
            self.shown.clear();
            let changed = count != self.shown_count;
            self.shown_count = count;
            return changed.then_some(Difference { count, people: None });
        }
        let present = self.named();
        let joined: Vec<Person> = present
            .values()
            .filter(|person| self.shown.get(&person.id) != Some(*person))
            .cloned()
            .collect();
        let left: Vec<Person> = self
            .shown
            .values()
            .filter(|person| !present.contains_key(&person.id))
            .cloned()
            .collect();
        let changed = count != self.shown_count || !joined.is_empty() || !left.is_empty();
        self.shown = present;
        self.shown_count = count;
        changed.then_some(Difference {
            count,
            people: Some((joined, left)),
        })
    }

    fn named(&self) -> BTreeMap<Arc<str>, Person> {
        let local = self.local.values().map(|(person, _)| person);
        let remote = self.remote.values().flat_map(|picture| picture.users.values());
        remote
            .chain(local)
            .map(|person| (Arc::clone(&person.id), person.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests;
