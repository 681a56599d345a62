//! The book of a node's connections: by age, by person, by credential.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use crate::{context::User, outbox::Outbox};

#[derive(Default)]
pub(super) struct Book {
    /// By age, the oldest first.
    known: BTreeMap<usize, Known>,
    by_user: Index,
    by_credential: Index,
    welcomed: usize,
    asked: usize,
    /// Connections that are closed if they are still here at a time; the earliest first.
    due: VecDeque<(Instant, usize)>,
}

type Index = HashMap<Arc<str>, BTreeSet<usize>>;

struct Known {
    outbox: Arc<Outbox>,
    user: Option<Arc<str>>,
    credential: Option<Arc<str>>,
    welcomed: bool,
    asked_to_move: bool,
}

impl Book {
    pub(super) fn enter(&mut self, key: usize, outbox: Arc<Outbox>) {
        let known = Known {
            outbox,
            user: None,
            credential: None,
            welcomed: false,
            asked_to_move: false,
        };
        self.known.insert(key, known);
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Who it is; may be said again.
    pub(super) fn identify(&mut self, key: usize, user: &User) {
        self.forget_who(key);
        let Some(known) = self.known.get_mut(&key) else {
            return;
        };
        known.user = Some(Arc::clone(&user.person.id));
        known.credential.clone_from(&user.credential.id);
        let entry = self.by_user.entry(Arc::clone(&user.person.id));
        entry.or_default().insert(key);
        if let Some(credential) = &known.credential {
            let entry = self.by_credential.entry(Arc::clone(credential));
            entry.or_default().insert(key);
        }
    }

    pub(super) fn welcome(&mut self, key: usize) {
        if let Some(known) = self.known.get_mut(&key)
            && !known.welcomed
        {
            known.welcomed = true;
            self.welcomed += 1;
        }
    }

    /// How many were welcomed.
    pub(super) fn welcomed(&self) -> usize {
        self.welcomed
    }

    pub(super) fn strike(&mut self, key: usize) {
        self.forget_who(key);
        if let Some(known) = self.known.remove(&key) {
            self.welcomed -= usize::from(known.welcomed);
            self.asked -= usize::from(known.asked_to_move);
        }
    }

    /// How many were asked to move and are still here.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// Up to `count` that were not asked before, the oldest first. From `due` on they are to be closed.
    pub(super) fn ask_to_move(
        &mut self,
        count: usize,
        due: Option<Instant>,
    ) -> impl Iterator<Item = &Outbox> {
        let (asked, all_due) = (&mut self.asked, &mut self.due);
        self.known
            .iter_mut()
            .filter(|(_, known)| known.welcomed && !known.asked_to_move)
            .take(count)
            .map(move |(key, known)| {
                known.asked_to_move = true;
                *asked += 1;
                all_due.extend(due.map(|due| (due, *key)));
                &*known.outbox
            })
    }

    /// Those that should have moved by now, at most so many.
    pub(super) fn overdue(&mut self, now: Instant, limit: usize) -> Vec<Arc<Outbox>> {
        let mut overdue = Vec::new();
        while overdue.len() < limit
            && let Some((_, key)) = self.due.pop_front_if(|(due, _)| *due <= now)
        {
            overdue.extend(self.known.get(&key).map(|known| Arc::clone(&known.outbox)));
        }
        overdue
    }

    pub(super) fn outboxes(&self) -> impl Iterator<Item = &Outbox> {
        self.known.values().map(|known| &*known.outbox)
    }

    pub(super) fn of_user(&self, id: &str) -> impl Iterator<Item = &Outbox> {
        self.indexed(&self.by_user, id)
    }

    pub(super) fn of_credential(&self, id: &str) -> impl Iterator<Item = &Outbox> {
        self.indexed(&self.by_credential, id)
    }

    pub(super) fn users(&self) -> Vec<Arc<str>> {
        self.by_user.keys().cloned().collect()
    }

    pub(super) fn credentials(&self) -> Vec<Arc<str>> {
        self.by_credential.keys().cloned().collect()
    }

    fn indexed<'b>(&'b self, index: &'b Index, id: &str) -> impl Iterator<Item = &'b Outbox> {
        let keys = index.get(id).into_iter().flatten();
        keys.filter_map(|key| self.known.get(key))
            .map(|known| &*known.outbox)
    }

    fn forget_who(&mut self, key: usize) {
        let Some(known) = self.known.get_mut(&key) else {
            return;
        };
        let (user, credential) = (known.user.take(), known.credential.take());
        remove(&mut self.by_user, user, key);
        remove(&mut self.by_credential, credential, key);
    }
}

fn remove(index: &mut Index, id: Option<Arc<str>>, key: usize) {
    let Some(id) = id else { return };
    if let Some(keys) = index.get_mut(&id) {
        keys.remove(&key);
        if keys.is_empty() {
            index.remove(&id);
        }
    }
}
