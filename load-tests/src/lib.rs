//! Honest clients for Hubbub, and the private servers that tests run against.

pub mod cli;
pub mod client;
pub mod lab;
pub mod smoke;
