//! An honest client: it knows the wire and nothing of the server's inside.
//!
//! A [`Client`] is driven by its caller and has no task of its own: a connection that nobody reads costs nothing, and
//! thousands of them share a few wake-ups. Every frame that arrives is checked by [`order`] before it is handed on, so
//! that a hole or a repeat in a room is an error wherever it happens.
//!
//! ```no_run
//! # async fn example() -> Result<(), load_tests::client::Error> {
//! use load_tests::client::{Client, Options};
//! use protocol::{JoinFrom, RoomName};
//!
//! let mut ada = Client::connect(&Options::new("ws://127.0.0.1:8080/ws").guest("Ada")).await?;
//! let room: RoomName = "lobby".parse().map_err(load_tests::client::Error::other)?;
//! ada.join(&room, JoinFrom::Newest(50)).await?;
//! let sent = ada.say(&room, "hello").await?;
//! let events = ada.take_events(&room, 1).await?;
//! assert_eq!(events[0].seq, sent.seq);
//! # Ok(())
//! # }
//! ```

mod commands;
mod connection;
mod error;
mod memo;
mod options;
pub mod order;
pub mod persistent;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tiny_server;
mod tls;
mod upgrade;

pub use commands::Committed;
pub use connection::Client;
pub use error::{Closed, Error, UpgradeRefused};
pub use options::Options;
pub use tls::Tls;
pub use upgrade::Stream;
