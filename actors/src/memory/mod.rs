//! Ports kept in memory: what tests run against, and what needs no server.

mod log;
mod store;

#[cfg(test)]
mod tests;

pub use store::{Call, Fault, MemoryStore};
