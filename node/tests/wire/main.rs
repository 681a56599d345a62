//! The wire, sentence by sentence (`docs/protocol.md`): a node in this process, or the built binary, and a client that
//! knows nothing but sockets and bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test: what is missing fails it, and it says where it was"
)]

mod commands;
mod deadlines;
mod frames;
mod hello;
mod metrics;
mod over_http;
mod process;
mod support;
mod upgrade;
