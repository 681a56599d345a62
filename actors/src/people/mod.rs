//! Who there is, as one node knows it: what it remembers of the accounts, and how it learns that something was taken
//! away from somebody, on whichever node that was done.
//!
//! Every loss is a numbered row in the store, written in the transaction that brings it about. Each node reads the rows
//! behind the last that it knows twice a second, and at once when the bus says that there are some.

mod bans;
mod cache;
mod lookup;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use protocol::{CloseCode, NodeFrame, NodeMessage};
use tokio::{runtime::Handle, sync::Notify, time::Instant};

use self::{bans::Bans, cache::Cache, lookup::Lookup};
use crate::{
    clock::StoreClock,
    connection::Connections,
    context::{Credential, Standing, User},
    ports::{
        AccountChange, AccountChangeKind, Accounts, Bus, CredentialKind, CredentialRecord, StoreError,
        TokenHash, Topic,
    },
};

/// Pause between two looks at the changes: what bounds how long a loss takes to arrive while the bus is down.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// A look at the changes that has not ended by then is given up.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two clearings of what is over.
const TIDY_EVERY: Duration = Duration::from_secs(600);
/// The use of a credential is recorded when the last record is older.
const TOUCH_AFTER_MS: u64 = 60_000;
/// Rows that are read at once.
const ROWS_AT_ONCE: u64 = 1_000;

/// A node's knowledge of accounts. Cheap to clone.
#[derive(Clone)]
pub struct People(Arc<Inner>);

struct Inner {
    store: Arc<dyn Accounts>,
    lookup: Lookup,
    bus: Arc<dyn Bus>,
    node: Arc<str>,
    clock: Arc<StoreClock>,
    connections: Connections,
    cache: Mutex<Cache>,
    bans: RwLock<Bans>,
    /// The last change that was acted upon.
    version: AtomicU64,
    /// Counts how often something was taken away, or everything was looked at anew.
    losses: AtomicU64,
    following: tokio::sync::Mutex<()>,
    wake: Notify,
}

/// What a node's knowledge is made from.
pub(crate) struct Sources {
    pub(crate) store: Arc<dyn Accounts>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) node: Arc<str>,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) connections: Connections,
    pub(crate) io: Handle,
}

impl People {
    /// Reads the bans in force and begins to listen.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn start(sources: Sources) -> Result<Self, StoreError> {
        let version = sources.store.changes_since(None).await?.version;
        let Sources {
            store,
            bus,
            node,
            clock,
            connections,
            io,
        } = sources;
        bus.subscribe(Topic::Cluster);
        let people = Self(Arc::new(Inner {
            lookup: Lookup::new(&store, &io),
            store,
            bus,
            node,
            clock,
            connections,
            cache: Mutex::new(Cache::new()),
            bans: RwLock::default(),
            version: AtomicU64::new(version),
            losses: AtomicU64::new(0),
            following: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        }));
        people.read_bans().await?;
        Ok(people)
    }

    /// The accounts in the store. What takes something away goes through [`People::change`].
    pub fn store(&self) -> &dyn Accounts {
        &*self.0.store
    }

    /// The user whose session or API key has this token; `None` if there is none, or it has ended. Remembered for half
    /// a minute, or until it is known to have ended.
    ///
    /// # Errors
    /// When the store has to be asked and fails.
    pub async fn find(&self, kind: CredentialKind, hash: &TokenHash) -> Result<Option<User>, StoreError> {
        let inner = &self.0;
        let now_ms = inner.clock.now_ms();
        if let Some(record) = inner.cache.lock().get(kind, hash, Instant::now()) {
            let expired = record.expires_at.is_some_and(|end| end <= now_ms);
            return Ok((!expired).then(|| user(&record, kind)));
        }
        let losses = self.losses();
        let Some(record) = inner.lookup.find(kind, hash).await? else {
            return Ok(None);
        };
        if record.last_used_at + TOUCH_AFTER_MS < now_ms {
            inner.lookup.touch(Arc::clone(&record.id));
        }
        let user = user(&record, kind);
        let mut cache = inner.cache.lock();
        // What was read may have been taken back since; then the next one reads it again.
        if self.losses() == losses {
            cache.insert(kind, *hash, record, Instant::now());
        }
        Ok(Some(user))
    }

    /// Whether one of a name's keys is an account's, as the store says.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_name_taken(&self, keys: Vec<String>) -> Result<bool, StoreError> {
        self.0.lookup.is_taken(keys).await
    }

    /// Whether the person of this id may not come in.
    pub fn is_banned(&self, id: &str) -> bool {
        self.0.bans.read().holds(id, self.0.clock.now_ms())
    }

    /// Grows whenever something was taken away from anybody: what was found out before and is used after has to be
    /// found out again.
    pub fn losses(&self) -> u64 {
        self.0.losses.load(SeqCst)
    }

    /// Makes a change to the accounts, and returns when it holds on this node; the others are told.
    ///
    /// # Errors
    /// As `act`.
    pub async fn change<T>(&self, act: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let done = act.await?;
        if let Err(error) = self.follow().await {
            tracing::warn!(%error, "a change of an account takes hold later, when the store answers again");
        }
        let version = self.0.version.load(SeqCst);
        match NodeFrame::encode_message(&self.0.node, &NodeMessage::Accounts { version }) {
            Ok(payload) => self.0.bus.publish(&Topic::Cluster, Bytes::from(payload), None),
            Err(error) => tracing::error!(%error, "a frame for the bus could not be encoded"),
        }
        Ok(done)
    }

    /// Another node says that there are changes up to `version`.
    pub(crate) fn hint(&self, version: u64) {
        if version != self.0.version.load(SeqCst) {
            self.0.wake.notify_one();
        }
    }

    /// Follows the changes for ever.
    pub(crate) async fn keep_following(self) {
        let mut tidy_at = Instant::now() + TIDY_EVERY;
        loop {
            // Woken or not, it is time to look.
            let _ = tokio::time::timeout(FOLLOW_EVERY, self.0.wake.notified()).await;
            let mut result = tokio::time::timeout(FOLLOW_TIMEOUT, self.follow()).await;
            if Instant::now() >= tidy_at {
                tidy_at = Instant::now() + TIDY_EVERY;
                result = tokio::time::timeout(FOLLOW_TIMEOUT, self.0.store.tidy()).await;
            }
            if let Ok(Err(error)) = result
                && !error.is_transient()
            {
                tracing::error!(%error, "changes of accounts could not be followed");
            }
        }
    }

    /// Acts upon all changes that there are. Cancel safe: what was not acted upon is read again.
    async fn follow(&self) -> Result<(), StoreError> {
        let inner = &self.0;
        let _one_at_a_time = inner.following.lock().await;
        loop {
            let known = inner.version.load(SeqCst);
            let found = inner.store.changes_since(Some(known)).await?;
            if found.lost {
                self.look_at_everything_anew().await?;
                inner.version.store(found.version, SeqCst);
                return Ok(());
            }
            let Some(last) = found.changes.last().map(|change| change.version) else {
                return Ok(());
            };
            for change in found.changes {
                self.apply(change);
            }
            inner.version.store(last, SeqCst);
            if last >= found.version {
                return Ok(());
            }
        }
    }

    fn apply(&self, change: AccountChange) {
        let inner = &self.0;
        let AccountChange { account, kind, .. } = change;
        // Counted first: who asks in between finds out again, and later.
        inner.losses.fetch_add(1, SeqCst);
        match kind {
            AccountChangeKind::Ended(credential) => {
                inner.cache.lock().forget_credential(&credential);
                inner
                    .connections
                    .close_credential(&credential, CloseCode::SessionEnded);
            }
            AccountChangeKind::Banned { until, .. } => {
                inner
                    .bans
                    .write()
                    .add(Arc::clone(&account), until, inner.clock.now_ms());
                if self.is_banned(&account) {
                    inner.connections.close_user(&account, CloseCode::Banned);
                }
            }
            AccountChangeKind::Unbanned => inner.bans.write().remove(&account),
            AccountChangeKind::Standing | AccountChangeKind::Renamed => {
                inner.cache.lock().forget_account(&account);
                // They come back as who they are now; their old name may be somebody else's soon.
                inner.connections.close_user(&account, CloseCode::Restarting);
            }
        }
    }

    /// Changes were missed that are no longer kept: whatever they were, their effect is looked up.
    async fn look_at_everything_anew(&self) -> Result<(), StoreError> {
        let inner = &self.0;
        tracing::warn!("changes of accounts were missed; bans and sessions are looked at anew");
        inner.losses.fetch_add(1, SeqCst);
        inner.cache.lock().clear();
        self.read_bans().await?;
        for user in inner.connections.users() {
            if self.is_banned(&user) {
                inner.connections.close_user(&user, CloseCode::Banned);
            }
        }
        let in_use = inner.connections.credentials();
        for ids in in_use.chunks(usize::try_from(ROWS_AT_ONCE).unwrap_or(usize::MAX)) {
            let living = inner.store.living(ids).await?;
            for ended in ids.iter().filter(|id| !living.contains(id)) {
                inner.connections.close_credential(ended, CloseCode::SessionEnded);
            }
        }
        Ok(())
    }

    async fn read_bans(&self) -> Result<(), StoreError> {
        let now_ms = self.0.clock.now_ms();
        let mut bans = Bans::default();
        let mut after: Option<Arc<str>> = None;
        loop {
            let page = self.0.store.bans(after.as_deref(), ROWS_AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            after = Some(Arc::clone(&last.person.id));
            for ban in page {
                bans.add(ban.person.id, ban.until, now_ms);
            }
        }
        *self.0.bans.write() = bans;
        Ok(())
    }
}

fn user(record: &CredentialRecord, kind: CredentialKind) -> User {
    User {
        person: record.account.person.clone(),
        standing: if record.account.administrator {
            Standing::Administrator
        } else {
            Standing::Registered
        },
        scopes: match kind {
            CredentialKind::Session => crate::Scopes::ALL,
            CredentialKind::ApiKey => record.scopes,
        },
        credential: Credential {
            id: Some(Arc::clone(&record.id)),
            expires_at: record.expires_at,
        },
        roles: Arc::default(),
    }
}
