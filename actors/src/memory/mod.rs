//! The ports without a server behind them: what a single node runs on, and what tests run against.

mod accounts;
mod book;
mod bus;
mod bus_reports;
mod log;
mod store;

#[cfg(test)]
mod tests;

pub use bus::{Faults, LocalBus, LocalHub};
pub use bus_reports::{BusReports, REPORTS_CAPACITY};
pub use store::{Call, Fault, MemoryStore};
