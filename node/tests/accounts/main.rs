//! Who there is: signing up, in and out, what is taken back and how soon, who guesses, names, bots, bans, tokens of
//! another application. Through the socket and HTTP, on SQLite and on Postgres.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    reason = "a test may fail, and its future is no actor's"
)]

mod administration;
mod bots;
mod cluster;
mod command;
mod guessing;
mod names;
mod revocation;
mod rooms;
mod sessions;
mod sign_in;
mod sites;
mod support;
mod tokens;

use support::on_both_stores;
