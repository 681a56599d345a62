//! A Hubbub node: where the actors meet the world.

mod auth;
pub mod bus;
pub mod cli;
pub mod commands;
pub mod config;
mod drain;
mod http;
mod io;
mod machine;
mod server;
pub mod store;
pub(crate) mod telemetry;

pub use server::Server;
