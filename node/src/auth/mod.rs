//! Who somebody is: credentials to users.

mod guest;

use std::sync::Arc;

use actors::{
    User,
    ports::{Store, StoreError},
};
use protocol::Hello;

use guest::GuestTokens;

/// Checks credentials. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Authenticator(Arc<Inner>);

struct Inner {
    guests: GuestTokens,
    guests_allowed: bool,
}

/// A user who has proven who they are.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    /// Who.
    pub user: User,
    /// A new guest's token.
    pub new_token: Option<String>,
}

/// The credential is not valid here. What is wrong with it is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credential is not valid")]
pub(crate) struct Unauthenticated;

impl Authenticator {
    /// An authenticator with the keys that all nodes on the store share.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn new(store: &dyn Store, guests_allowed: bool) -> Result<Self, StoreError> {
        let key = store.shared_key("guest-tokens").await?;
        Ok(Self(Arc::new(Inner {
            guests: GuestTokens::new(&key),
            guests_allowed,
        })))
    }

    /// The user that a token belongs to.
    ///
    /// # Errors
    /// When it is not valid here, whatever the reason.
    pub(crate) fn verify(&self, token: &str) -> Result<User, Unauthenticated> {
        let person = self.0.guests.verify(token).ok_or(Unauthenticated)?;
        if self.0.guests_allowed {
            Ok(User::guest(person))
        } else {
            Err(Unauthenticated)
        }
    }

    /// Who a `hello` comes from. The first credential that is there counts: its token, that of the upgrade, its guest
    /// name.
    ///
    /// # Errors
    /// When there is none, or the one that counts is not valid.
    pub(crate) fn hello(
        &self,
        hello: &Hello,
        upgrade: Option<&User>,
    ) -> Result<Authenticated, Unauthenticated> {
        if let Some(token) = &hello.token {
            return self.verify(token).map(|user| Authenticated {
                user,
                new_token: None,
            });
        }
        if let Some(user) = upgrade {
            return Ok(Authenticated {
                user: user.clone(),
                new_token: None,
            });
        }
        match &hello.guest {
            Some(name) if self.0.guests_allowed => {
                let (person, token) = self.0.guests.issue(name).map_err(|error| {
                    tracing::error!(%error, "no randomness for a guest's id");
                    Unauthenticated
                })?;
                Ok(Authenticated {
                    user: User::guest(person),
                    new_token: Some(token),
                })
            }
            _ => Err(Unauthenticated),
        }
    }
}
