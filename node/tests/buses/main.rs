//! Every bus that a node can have: what the suite of all buses asks for, and what each must survive.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing fails it"
)]

mod cluster;
mod faults;
mod messages;
mod suite;
mod support;
