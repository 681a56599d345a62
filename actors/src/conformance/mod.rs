//! The suites that every implementation of a port must pass. They panic at the first promise that is broken.

pub mod accounts;
pub mod bus;
pub mod store;
