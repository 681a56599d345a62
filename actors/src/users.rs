//! What one person may use of this node, over all their connections and requests.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    bucket::{Allowance, TokenBucket},
    settings::Settings,
};

/// Bursts of writing are let through up to so many seconds' worth.
const SEND_BURST_SECONDS: u32 = 10;
/// Entries of people who are gone are dropped when there are so many more than at the last time.
const SWEEP_EVERY: usize = 1_024;

/// All people who use this node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Users {
    book: Arc<Mutex<Book>>,
    sends_per_second: u32,
    connections: u32,
}

#[derive(Default)]
struct Book {
    accounts: HashMap<Arc<str>, Account>,
    swept: usize,
}

struct Account {
    connections: u32,
    sends: TokenBucket,
}

/// A connection of a person; counts until it is dropped.
pub(crate) struct Share {
    users: Users,
    id: Arc<str>,
}

impl Users {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            book: Arc::default(),
            sends_per_second: settings.sends_per_second_per_user,
            connections: settings.connections_per_user,
        }
    }

    /// Counts a connection of the person; `None` if there are as many as allowed.
    pub(crate) fn connect(&self, id: &Arc<str>) -> Option<Share> {
        self.with_account(id, |account, limit| {
            if limit > 0 && account.connections >= limit {
                return None;
            }
            account.connections += 1;
            Some(Share {
                users: self.clone(),
                id: Arc::clone(id),
            })
        })
    }

    /// Takes one of the person's writes.
    ///
    /// # Errors
    /// With the milliseconds until the next one is allowed.
    pub(crate) fn take_send(&self, id: &Arc<str>) -> Result<(), u64> {
        self.with_account(id, |account, _| account.sends.take(Instant::now().into_std()))
            .map_err(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1))
    }

    /// What is left of the person's writes; `None` where they are not limited.
    pub(crate) fn sends_left(&self, id: &Arc<str>) -> Option<Allowance> {
        self.with_account(id, |account, _| {
            account.sends.allowance(Instant::now().into_std())
        })
    }

    fn with_account<T>(&self, id: &Arc<str>, act: impl FnOnce(&mut Account, u32) -> T) -> T {
        let mut book = self.book.lock();
        let now = Instant::now().into_std();
        if book.accounts.len() > book.swept + SWEEP_EVERY {
            book.accounts
                .retain(|_, account| account.connections > 0 || !account.sends.is_full(now));
            book.swept = book.accounts.len();
        }
        let account = book.accounts.entry(Arc::clone(id)).or_insert_with(|| Account {
            connections: 0,
            sends: TokenBucket::new(self.sends_per_second, SEND_BURST_SECONDS, now),
        });
        act(account, self.connections)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.users.with_account(&self.id, |account, _| {
            account.connections = account.connections.saturating_sub(1)
        });
    }
}
