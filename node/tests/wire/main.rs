//! The wire, sentence by sentence (`docs/protocol.md`): a node in this process, or the built binary, and a client that
//! knows nothing but sockets and bytes.

mod commands;
mod frames;
mod hello;
mod metrics;
mod over_http;
mod process;
mod support;
mod upgrade;
