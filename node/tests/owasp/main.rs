//! The points of OWASP's WebSocket security cheat sheet that no other test proves. Which test proves which point stands in
//! `docs/testing.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    clippy::print_stderr,
    reason = "a test may fail, and its future is no actor's"
)]

mod causes;
mod connection_caps;
mod secrets;
#[allow(dead_code, unused_imports, reason = "shared with the tests of the wire")]
#[path = "../wire/support/mod.rs"]
mod support;
