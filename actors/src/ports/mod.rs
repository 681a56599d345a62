//! What the actors need from the world: a [`Store`] that orders and keeps events, [`Accounts`] that know who there is,
//! and a [`Bus`] that hints at both.
//!
//! The ports are owned here and implemented in the `node` crate; `conformance` holds the suites that every
//! implementation must pass.

mod accounts;
mod append;
mod bus;
mod records;
mod store;

pub use accounts::{
    Account, AccountChange, AccountChangeKind, AccountChanges, Accounts, AuditRecord, Ban, Claim,
    CredentialKind, CredentialRecord, Ending, KEEP_CHANGES_MS, Login, MAX_SESSIONS, NewAccount, NewAudit,
    NewCredential, TokenHash,
};
pub use append::{Append, Change, Outcome, Refusal};
pub use bus::{Bus, BusError, BusEvent, HeldLease, Topic};
pub use records::{
    EventPage, InviteLink, LoadedRoom, NewRoom, PageRequest, ReadMark, RoomQuery, RoomRecord, RoomToLoad,
    search_text,
};
pub use store::{Store, StoreError, StoreStatus};
