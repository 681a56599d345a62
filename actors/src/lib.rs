//! What happens inside a Hubbub node: connection, room, persistence and cluster actors, the state machines that they
//! call, and the ports to store and bus. No sockets, no SQL, no Redis, no HTTP.
//!
//! Outside this crate nobody builds an actor message: callers hold [`System`], [`room::Room`] and
//! [`connection::Connection`].

mod answer;
pub mod bucket;
pub mod clock;
mod cluster;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod connection;
mod context;
mod frame;
mod gather;
mod guarded;
mod guarded_accounts;
mod heads;
mod lag;
mod loader;
pub mod memory;
pub mod metrics;
pub mod outbox;
mod pace;
pub mod people;
mod persistence;
#[cfg(feature = "planted-bugs")]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
#[allow(unreachable_pub, reason = "its names are public with the feature alone")]
mod planted;
pub mod ports;
pub mod rights;
pub mod room;
mod settings;
mod supervisor;
mod system;
mod users;

pub use cluster::{ClusterView, Nodes};
pub use context::{Credential, Scopes, Standing, User};
pub use settings::{Rebalance, Settings};
pub use system::{StartError, System};
