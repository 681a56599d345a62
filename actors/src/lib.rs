//! What happens inside a Hubbub node: connection, room, persistence and cluster actors, the state machines that they
//! call, and the ports to store and bus. No sockets, no SQL, no Redis, no HTTP.

pub mod ports;
