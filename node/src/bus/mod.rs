//! The bus adapters: in-process and Redis.

mod config;
mod redis;

use std::sync::Arc;

use actors::{memory::LocalHub, ports::Bus};

pub use config::{BusConfig, BusConfigError};

/// Opens the bus that `config.url` names: `local://`, `redis://…` or `rediss://…`. Must be called inside a Tokio
/// runtime. A Redis that cannot be reached is no error: the bus is then down, says so in the log, and keeps trying.
///
/// # Errors
/// When the configuration itself cannot work.
pub fn open(config: BusConfig) -> Result<Arc<dyn Bus>, BusConfigError> {
    match config.scheme() {
        "local" => Ok(Arc::new(LocalHub::new().connect())),
        "redis" | "rediss" => Ok(Arc::new(redis::RedisBus::open(config)?)),
        other => Err(BusConfigError::Scheme(other.to_owned())),
    }
}
