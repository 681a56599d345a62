//! From HTTP to a WebSocket, and who is refused.

mod doors;
mod limits;
mod random;
mod subprotocols;

use std::net::SocketAddr;

use protocol::Codec;

use crate::support::{Raw, http::Answer};

/// The answer to an upgrade with exactly these headers beside the mechanical ones.
async fn upgrade(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    Raw::try_open(address, path, Codec::Json, headers, &[])
        .await
        .upgraded
}
