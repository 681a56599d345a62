//! What the actors need from the world: a [`Store`] that orders and keeps events, and a [`Bus`] that hints at them.
//!
//! The ports are owned here and implemented in the `node` crate; `conformance` holds the suites that every
//! implementation must pass.

mod bus;
mod store;

pub use bus::{Bus, BusError, BusEvent, Topic};
pub use store::{
    Append, Change, EventPage, InviteLink, NewRoom, Outcome, PageRequest, ReadMark, Refusal, RoomQuery,
    RoomRecord, Store, StoreError, StoreStatus,
};
