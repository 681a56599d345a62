//! How the network between two ends is.

use std::time::Duration;

use super::messages::BusFaults;

/// How the network is. By default it is well.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Network {
    /// New connections are refused; open ones live.
    pub refuse: bool,
    /// Nothing is passed on, and nothing is lost: it comes when this is over. New connections open, and hear nothing.
    pub stall: bool,
    /// What is passed on comes so much later, in each direction.
    pub delay: Duration,
    /// At most so many bytes a second are passed on, by connection and direction.
    pub bytes_per_second: Option<u64>,
    /// What becomes of messages that subscribers of a Redis are sent.
    pub bus: BusFaults,
}
