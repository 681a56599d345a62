//! Honest clients for Hubbub, and the private servers that tests run against.

pub mod client;
pub mod smoke;
pub mod cli;
pub mod lab;
