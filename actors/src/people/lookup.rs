//! Looks credentials up in the store, many in one query: when a fleet comes back at once, everybody's is asked for.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    pace::Pace,
    ports::{Accounts, CredentialKind, CredentialRecord, StoreError, TokenHash},
};

/// Most credentials in one query.
const AT_ONCE: usize = 500;

type Token = (CredentialKind, TokenHash);
type Found = Result<Option<CredentialRecord>, StoreError>;

/// A node's one reader of credentials. Every request is answered by a query that began after it was made. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lookup {
    store: Arc<dyn Accounts>,
    waiting: Arc<Mutex<Waiting>>,
}

/// Bounded by the connections and requests of the node, each of which asks once at a time.
#[derive(Default)]
struct Waiting {
    asking: HashMap<Token, Vec<oneshot::Sender<Found>>>,
    /// Credentials whose use is to be recorded.
    used: HashSet<Arc<str>>,
    running: bool,
}

struct Batch {
    asking: Vec<(Token, Vec<oneshot::Sender<Found>>)>,
    used: Vec<Arc<str>>,
}

impl Lookup {
    pub(super) fn new(store: Arc<dyn Accounts>) -> Self {
        Self {
            store,
            waiting: Arc::default(),
        }
    }

    /// The credential with that token, as it is in the store. Cancel safe.
    pub(super) async fn find(&self, kind: CredentialKind, hash: &TokenHash) -> Found {
        let (sender, answer) = oneshot::channel();
        self.ask(|waiting| waiting.asking.entry((kind, *hash)).or_default().push(sender));
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Down("the look-up was broken off".to_owned())))
    }

    /// Records that the credential is in use now, soon. Only a record of use: should the store fail, it is lost.
    pub(super) fn touch(&self, id: Arc<str>) {
        self.ask(|waiting| {
            waiting.used.insert(id);
        });
    }

    fn ask(&self, add: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.lock();
        add(&mut waiting);
        if !waiting.running {
            waiting.running = true;
            tokio::spawn(self.clone().run());
        }
    }

    async fn run(self) {
        let mut pace = Pace::new();
        while let Some(batch) = self.take() {
            let next = Instant::now() + pace.next(batch.asking.len());
            self.serve(batch).await;
            tokio::time::sleep_until(next).await;
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut waiting = self.waiting.lock();
        if waiting.asking.is_empty() && waiting.used.is_empty() {
            waiting.running = false;
            return None;
        }
        let tokens: Vec<Token> = waiting.asking.keys().take(AT_ONCE).copied().collect();
        let asking = tokens
            .into_iter()
            .filter_map(|token| waiting.asking.remove_entry(&token))
            .collect();
        let used = std::mem::take(&mut waiting.used).into_iter().collect();
        Some(Batch { asking, used })
    }

    async fn serve(&self, batch: Batch) {
        if !batch.used.is_empty() {
            let store = Arc::clone(&self.store);
            // Nobody waits for it. Lost when the store fails; the next use is recorded again.
            tokio::spawn(async move { store.touch(&batch.used).await });
        }
        let (tokens, senders): (Vec<Token>, Vec<_>) = batch.asking.into_iter().unzip();
        if tokens.is_empty() {
            return;
        }
        let found: Vec<Found> = match self.store.find_credentials(&tokens).await {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); tokens.len()],
        };
        for (askers, found) in senders.into_iter().zip(found) {
            for asker in askers {
                // Who asked may have gone.
                let _ = asker.send(found.clone());
            }
        }
    }
}
