//! A Hubbub node.

pub mod cli;
pub mod config;
pub mod http;
pub mod telemetry;
