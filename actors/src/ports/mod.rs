//! What the actors need from the world: a [`Store`] that orders and keeps events, [`Accounts`] that know who there is,
//! and a [`Bus`] that hints at both.
//!
//! The ports are owned here and implemented in the `node` crate; `conformance` holds the suites that every
//! implementation must pass.

mod accounts;
mod bus;
mod store;

pub use accounts::{
    Account, AccountChange, AccountChangeKind, AccountChanges, Accounts, AuditRecord, Ban, Claim,
    CredentialKind, CredentialRecord, Ending, KEEP_CHANGES_MS, Login, MAX_SESSIONS, NewAccount, NewAudit,
    NewCredential, TokenHash,
};
pub use bus::{Bus, BusError, BusEvent, HeldLease, Topic};
pub use store::{
    Append, Change, EventPage, InviteLink, LoadedRoom, NewRoom, Outcome, PageRequest, ReadMark, Refusal,
    RoomQuery, RoomRecord, RoomToLoad, Store, StoreError, StoreStatus, search_text,
};
