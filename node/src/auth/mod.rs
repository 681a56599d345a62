//! Who somebody is: credentials to users.

mod aside;
mod guest;
mod jwt;
pub(crate) mod names;
pub(crate) mod password;
pub(crate) mod throttle;
pub(crate) mod token;

use std::sync::Arc;

use actors::{
    User,
    people::People,
    ports::{CredentialKind, Store, StoreError},
};
use protocol::Hello;

use self::{guest::GuestTokens, jwt::Jwt, password::Passwords, throttle::Throttle};
use crate::config::Auth;

/// What a guest's token begins with.
const GUEST_PREFIX: &str = "hg1.";

/// Checks credentials. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Authenticator(Arc<Inner>);

struct Inner {
    people: People,
    guests: GuestTokens,
    guests_allowed: bool,
    jwt: Option<Jwt>,
    passwords: Passwords,
    throttle: Throttle,
}

/// A user who has proven who they are.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    /// Who.
    pub(crate) user: User,
    /// A new guest's token.
    pub(crate) new_token: Option<String>,
}

/// The credentials that a request carries in its headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presented {
    /// `Authorization: Bearer …`
    pub(crate) bearer: Option<String>,
    /// What is in cookies of the session's name; a browser may send several.
    pub(crate) cookies: Vec<String>,
}

/// Where a credential was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// `Authorization: Bearer …`
    Bearer,
    /// The cookie, which browsers also send with what other sites ask for.
    Cookie,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There is no valid credential. What is wrong with it is not told.
    #[error("the credential is not valid")]
    Unauthenticated,
    /// Banned from the server.
    #[error("you are banned from this server")]
    Banned,
    /// A guest wants a name that is an account's, or too much like one.
    #[error("`guest`: this name, or one too much like it, belongs to an account; choose another")]
    GuestName,
    /// It cannot be found out at the moment.
    #[error("who you are cannot be checked at the moment")]
    Unavailable,
}

impl Authenticator {
    /// An authenticator with the keys that all nodes on the store share.
    ///
    /// # Errors
    /// When the store fails, there is no randomness, or the keys for tokens cannot be read.
    pub(crate) async fn new(store: &dyn Store, people: People, config: &Auth) -> anyhow::Result<Self> {
        let key = store.shared_key("guest-tokens").await?;
        let passwords = Passwords::new().map_err(|error| anyhow::anyhow!("no hash was made: {error:?}"))?;
        Ok(Self(Arc::new(Inner {
            people,
            guests: GuestTokens::new(&key),
            guests_allowed: config.guests,
            jwt: Jwt::new(&config.jwt).await?,
            passwords,
            throttle: Throttle::new(),
        })))
    }

    /// Makes and checks the hashes of passwords.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Slows down who guesses.
    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// The user that a token of any kind belongs to.
    ///
    /// # Errors
    /// When it is not valid here, or its holder is banned.
    pub(crate) async fn verify(&self, token: &str) -> Result<User, Refused> {
        let inner = &self.0;
        let user = if let Some((kind, hash)) = token::read(token) {
            let found = inner.people.find(kind, &hash).await;
            found.map_err(unavailable)?.ok_or(Refused::Unauthenticated)?
        } else if token.starts_with(GUEST_PREFIX) {
            let person = inner.guests.verify(token).ok_or(Refused::Unauthenticated)?;
            if !inner.guests_allowed {
                return Err(Refused::Unauthenticated);
            }
            User::guest(person)
        } else {
            let jwt = self.0.jwt.as_ref().ok_or(Refused::Unauthenticated)?;
            Box::pin(jwt.verify(token)).await?
        };
        if inner.people.is_banned(&user.person.id) {
            return Err(Refused::Banned);
        }
        Ok(user)
    }

    /// The user that a request's headers speak for. A bearer counts before a cookie; a cookie that is not valid counts as
    /// none.
    ///
    /// # Errors
    /// As [`Authenticator::verify`].
    pub(crate) async fn presented(&self, presented: &Presented) -> Result<Option<(User, Via)>, Refused> {
        if let Some(token) = &presented.bearer {
            return self.verify(token).await.map(|user| Some((user, Via::Bearer)));
        }
        for token in &presented.cookies {
            if !token::read(token).is_some_and(|(kind, _)| kind == CredentialKind::Session) {
                continue;
            }
            match self.verify(token).await {
                Ok(user) => return Ok(Some((user, Via::Cookie))),
                Err(Refused::Unauthenticated) => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(None)
    }

    /// Who a `hello` comes from. The first credential that is there counts: its token, those of the upgrade, its guest
    /// name.
    ///
    /// # Errors
    /// When there is none, or the one that counts is not valid.
    pub(crate) async fn hello(&self, hello: &Hello, upgrade: &Presented) -> Result<Authenticated, Refused> {
        let user = match &hello.token {
            Some(token) => Some(self.verify(token).await?),
            None => self.presented(upgrade).await?.map(|(user, _)| user),
        };
        if let Some(user) = user {
            return Ok(Authenticated {
                user,
                new_token: None,
            });
        }
        match &hello.guest {
            Some(name) if self.0.guests_allowed => self.new_guest(name).await,
            _ => Err(Refused::Unauthenticated),
        }
    }

    async fn new_guest(&self, name: &str) -> Result<Authenticated, Refused> {
        let taken = self.0.people.is_name_taken(names::keys(name)).await;
        if taken.map_err(unavailable)? {
            return Err(Refused::GuestName);
        }
        let (person, token) = self.0.guests.issue(name).map_err(|error| {
            tracing::error!(%error, "no randomness for a guest's id");
            Refused::Unavailable
        })?;
        Ok(Authenticated {
            user: User::guest(person),
            new_token: Some(token),
        })
    }
}

#[allow(clippy::needless_pass_by_value, reason = "an argument of map_err")]
fn unavailable(error: StoreError) -> Refused {
    if !error.is_transient() {
        tracing::error!(%error, "a credential could not be checked");
    }
    Refused::Unavailable
}
