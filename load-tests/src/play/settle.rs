//! Waiting, behind the last phase, until everybody has everything.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::conduct::Conductor;
use crate::player::Standing;

/// How long that may take.
const WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(250);

impl Conductor {
    /// How it is in the end, and how long that took.
    pub(super) async fn settle(&mut self) -> (Standing, Duration) {
        let begun = Instant::now();
        let mut sampled = begun;
        loop {
            let standing = self.fleet.standing().await;
            if standing.is_even() || begun.elapsed() > WITHIN || !self.fleet.troubles().is_empty() {
                return (standing, begun.elapsed());
            }
            sleep(LOOK).await;
            if sampled.elapsed() >= Duration::from_secs(1) {
                self.look().await;
                sampled = Instant::now();
            }
        }
    }
}
