//! Looks credentials and names up in the store.

use std::{collections::HashSet, sync::Arc};

use tokio::runtime::Handle;

use crate::{
    gather::Gather,
    ports::{Accounts, CredentialKind, CredentialRecord, StoreError, TokenHash},
};

/// Most questions in one query.
const AT_ONCE: usize = 500;

type Token = (CredentialKind, TokenHash);

/// A node's one reader of accounts. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lookup {
    credentials: Gather<Token, Option<CredentialRecord>>,
    names: Gather<Vec<String>, bool>,
    uses: Gather<Arc<str>, ()>,
}

impl Lookup {
    pub(super) fn new(store: &Arc<dyn Accounts>, io: &Handle) -> Self {
        Self {
            credentials: {
                let store = Arc::clone(store);
                Gather::new(io, AT_ONCE, move |tokens: Vec<Token>| {
                    let store = Arc::clone(&store);
                    async move { store.find_credentials(&tokens).await }
                })
            },
            names: {
                let store = Arc::clone(store);
                Gather::new(io, AT_ONCE, move |names: Vec<Vec<String>>| {
                    are_taken(Arc::clone(&store), names)
                })
            },
            uses: {
                let store = Arc::clone(store);
                Gather::new(io, AT_ONCE, move |ids: Vec<Arc<str>>| {
                    let store = Arc::clone(&store);
                    async move { Ok(vec![store.touch(&ids).await?; ids.len()]) }
                })
            },
        }
    }

    /// The credential with that token, as it is in the store. Cancel safe.
    pub(super) async fn find(
        &self,
        kind: CredentialKind,
        hash: &TokenHash,
    ) -> Result<Option<CredentialRecord>, StoreError> {
        self.credentials.ask((kind, *hash)).await
    }

    /// Whether one of a name's keys is an account's. Cancel safe.
    pub(super) async fn is_taken(&self, keys: Vec<String>) -> Result<bool, StoreError> {
        self.names.ask(keys).await
    }

    /// Records that the credential is in use now, soon. Only a record of use: should the store fail, it is lost.
    pub(super) fn touch(&self, id: Arc<str>) {
        self.uses.tell(id);
    }
}

async fn are_taken(store: Arc<dyn Accounts>, names: Vec<Vec<String>>) -> Result<Vec<bool>, StoreError> {
    let taken = store.taken_names(&names.concat()).await?;
    let taken: HashSet<String> = taken.into_iter().collect();
    Ok(names
        .iter()
        .map(|keys| keys.iter().any(|key| taken.contains(key)))
        .collect())
}
