//! Somebody who reads back all the time, and counts how often that works.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use protocol::{JoinFrom, Page, RoomName, client::PageBound};
use tokio::{task::JoinHandle, time::sleep};

use crate::client::{Client, Error, Options};

/// Pause between two readings.
const EVERY: Duration = Duration::from_millis(250);

/// Reads the newest events of a room again and again, until it is dropped.
pub(super) struct Probe {
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    served: AtomicU64,
}

impl Probe {
    pub(super) async fn start(url: &str, room: &RoomName) -> Result<Self, Error> {
        let options = Options::new(url).guest("reads back");
        let mut client = Client::connect(&options).await?;
        client.join(room, JoinFrom::Newest(50)).await?;
        let counts = Arc::new(Counts::default());
        let (counted, room) = (Arc::clone(&counts), room.clone());
        let task = tokio::spawn(async move {
            let page = Page {
                bound: PageBound::Newest,
                limit: 50,
            };
            loop {
                counted.asked.fetch_add(1, Ordering::Relaxed);
                let read = client.history(&room, page).await;
                let served = u64::from(read.is_ok_and(|(events, _)| !events.is_empty()));
                counted.served.fetch_add(served, Ordering::Relaxed);
                sleep(EVERY).await;
            }
        });
        Ok(Self { counts, task })
    }

    /// How often it asked, and how often it was served.
    pub(super) fn counts(&self) -> (u64, u64) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (of(&self.counts.asked), of(&self.counts.served))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}
