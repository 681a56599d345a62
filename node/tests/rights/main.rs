//! Nobody reads or writes where they may not: every cell of the tables in `docs/rights.md`, what is taken back on another
//! node, and attempts to get around it. Through the socket in both codecs and over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    clippy::print_stdout,
    reason = "a test may fail, tells how long things took, and its future is no actor's"
)]

mod attempts;
mod cast;
mod matrix;
mod nodes;
#[path = "../accounts/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of accounts")]
mod support;

use support::on_both_stores;
