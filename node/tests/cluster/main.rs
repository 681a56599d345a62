//! What Hubbub promises, with several nodes: in one process over a bus that can be made to fail, over real servers, and
//! as processes that are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what is missing fails it"
)]

mod convergence;
mod gaps;
mod leases;
mod leaving;
mod outages;
mod overload;
mod people;
mod processes;
mod repeats;
mod servers;
mod slow_clients;
mod store_trouble;
mod support;
