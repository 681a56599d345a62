//! Who is in a room, over the whole cluster. Pure: time is an argument.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::{Person, limits::MAX_PRESENCE_USERS};

/// A node's picture that was not renewed for this long is forgotten: the node is gone, or has nobody here any more.
pub(super) const PICTURE_LIFETIME: Duration = Duration::from_secs(30);

/// People in a room: those on this node by connection, those on other nodes by the picture that each sends.
#[derive(Default)]
pub(super) struct Presence {
    local: HashMap<Arc<str>, (Person, usize)>,
    remote: HashMap<Arc<str>, Picture>,
    shown: BTreeMap<Arc<str>, Person>,
    shown_count: u64,
    local_changed: bool,
}

struct Picture {
    count: u64,
    users: Vec<Person>,
    seen: Instant,
}

/// What changed since members were last told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) count: u64,
    /// Who came and who went; `None` in rooms above the limit for naming people.
    pub(super) people: Option<(Vec<Person>, Vec<Person>)>,
}

impl Presence {
    /// A connection of `person` has come.
    pub(super) fn enter(&mut self, person: &Person) {
        let changed = &mut self.local_changed;
        let entry = self.local.entry(Arc::clone(&person.id)).or_insert_with(|| {
            *changed = true;
            (person.clone(), 0)
        });
        entry.1 += 1;
    }

    /// A connection of `person` has gone.
    pub(super) fn exit(&mut self, person: &Person) {
        if let Some((_, connections)) = self.local.get_mut(&person.id) {
            *connections -= 1;
            if *connections == 0 {
                self.local.remove(&person.id);
                self.local_changed = true;
            }
        }
    }

    /// Whether this node's people changed since the last call.
    pub(super) fn take_local_change(&mut self) -> bool {
        std::mem::take(&mut self.local_changed)
    }

    /// What this node tells the others: how many, and who unless there are more than `people_limit`.
    pub(super) fn local_picture(&self, people_limit: u64) -> (u64, Vec<Person>) {
        let count = self.local.len() as u64;
        let users = if count > people_limit {
            Vec::new()
        } else {
            self.local.values().map(|l| l.0.clone()).collect()
        };
        (count, users)
    }

    /// Another node tells what it sees.
    pub(super) fn set_remote(&mut self, node: Arc<str>, count: u64, users: Vec<Person>, now: Instant) {
        if count == 0 {
            self.remote.remove(&node);
        } else {
            self.remote.insert(
                node,
                Picture {
                    count,
                    users,
                    seen: now,
                },
            );
        }
    }

    /// Forgets what these nodes told. Returns whether they had told anything.
    pub(super) fn forget_nodes(&mut self, nodes: &[Arc<str>]) -> bool {
        let before = self.remote.len();
        self.remote.retain(|node, _| !nodes.contains(node));
        self.remote.len() < before
    }

    /// Forgets pictures that were not renewed.
    pub(super) fn expire(&mut self, now: Instant) {
        self.remote
            .retain(|_, picture| now.duration_since(picture.seen) < PICTURE_LIFETIME);
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
            .flat_map(|picture| &picture.users)
            .map(|person| &*person.id)
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
            .filter(|person| !self.shown.contains_key(&person.id))
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
        let remote = self.remote.values().flat_map(|picture| &picture.users);
        remote
            .chain(local)
            .map(|person| (Arc::clone(&person.id), person.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str) -> Person {
        Person {
            id: id.into(),
            name: id.to_uppercase().into(),
        }
    }

    fn ids(people: &[Person]) -> Vec<&str> {
        people.iter().map(|person| &*person.id).collect()
    }

    #[test]
    fn people_are_counted_not_connections() {
        let mut presence = Presence::default();
        presence.enter(&person("a"));
        presence.enter(&person("a"));
        presence.set_remote("n2".into(), 2, vec![person("a"), person("b")], Instant::now());
        assert_eq!(presence.count(), 2);
        presence.exit(&person("a"));
        assert_eq!(presence.count(), 2);
        presence.exit(&person("a"));
        assert_eq!(presence.count(), 2, "still on the other node");
        presence.set_remote("n2".into(), 0, vec![], Instant::now());
        assert_eq!(presence.count(), 0);
    }

    #[test]
    fn a_node_that_falls_silent_is_forgotten() {
        let mut presence = Presence::default();
        let now = Instant::now();
        presence.set_remote("n2".into(), 1, vec![person("b")], now);
        presence.expire(now + PICTURE_LIFETIME / 2);
        assert_eq!(presence.count(), 1);
        presence.expire(now + PICTURE_LIFETIME);
        assert_eq!(presence.count(), 0);
    }

    #[test]
    fn a_node_that_is_gone_takes_its_people_with_it() {
        let mut presence = Presence::default();
        presence.enter(&person("a"));
        presence.set_remote("n2".into(), 2, vec![person("a"), person("b")], Instant::now());
        presence.set_remote("n3".into(), 1, vec![person("c")], Instant::now());
        presence.difference(9);
        assert!(!presence.forget_nodes(&["n4".into()]));
        assert!(presence.forget_nodes(&["n2".into(), "n4".into()]));
        let (joined, left) = presence.difference(9).unwrap().people.unwrap();
        assert_eq!((ids(&joined), ids(&left)), (vec![], vec!["b"]));
    }

    #[test]
    fn only_a_persons_first_and_last_connection_change_the_picture() {
        let mut presence = Presence::default();
        let mut after = |act: fn(&mut Presence)| {
            act(&mut presence);
            presence.take_local_change()
        };
        assert!(after(|p| p.enter(&person("a"))));
        assert!(!after(|p| p.enter(&person("a"))));
        assert!(!after(|p| p.set_remote(
            "n2".into(),
            1,
            vec![person("b")],
            Instant::now()
        )));
        assert!(!after(|p| p.exit(&person("a"))));
        assert!(after(|p| p.exit(&person("a"))));
    }

    #[test]
    fn differences_name_people_up_to_the_limit() {
        let mut presence = Presence::default();
        presence.enter(&person("a"));
        let first = presence.difference(2).unwrap();
        assert_eq!((first.count, ids(&first.people.unwrap().0)), (1, vec!["a"]));
        assert_eq!(presence.difference(2), None);
        presence.enter(&person("b"));
        presence.enter(&person("c"));
        assert_eq!(
            presence.difference(2),
            Some(Difference {
                count: 3,
                people: None
            })
        );
        presence.exit(&person("a"));
        let back = presence.difference(2).unwrap();
        assert_eq!(
            ids(&back.people.unwrap().0),
            ["b", "c"],
            "below the limit again: everybody is named"
        );
    }
}
