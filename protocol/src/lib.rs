//! What travels between a Hubbub client and a node, and between nodes: names, frames, codecs, codes and limits.
//!
//! No I/O and no async. The contract for client authors is `docs/protocol.md`; this crate is that contract in Rust.

pub mod client;
pub mod codec;
pub mod codes;
pub mod event;
pub mod fields;
pub mod lease;
pub mod limits;
pub mod name;
pub mod node;
pub mod server;

pub use client::{ClientFrame, Command, Hello, JoinFrom, Page};
pub use codec::Codec;
pub use codes::{CloseCode, ErrorCode};
pub use event::{Event, EventBody, MemberChange, Person, RoomChange};
pub use lease::NodeLease;
pub use name::RoomName;
pub use node::{NodeFrame, NodeMessage};
pub use server::ServerFrame;
