//! A Hubbub node: where the actors meet the world.

mod auth;
pub mod bus;
pub mod cli;
pub mod commands;
pub mod config;
mod http;
mod server;
pub mod store;
mod telemetry;

pub use server::Server;
