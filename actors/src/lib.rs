//! What happens inside a Hubbub node: connection, room, persistence and cluster actors, the state machines that they
//! call, and the ports to store and bus. No sockets, no SQL, no Redis, no HTTP.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod memory;
pub mod ports;
