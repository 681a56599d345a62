//! Rooms on a node without sockets, against a store and a bus that do what a test orders.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail"
)]

mod client;
mod failures;
mod late;
mod loading;
mod replays;
mod restored;
mod store;
