//! Reports as files, through the crate's public face.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what is missing fails it"
)]

mod compared;
mod files;
mod fixture;
mod page;
