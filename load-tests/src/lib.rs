//! Honest clients for Hubbub, and the private servers that tests run against.

pub mod lab;
