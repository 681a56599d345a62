//! The channel in which a bus reports to its node.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::ports::BusEvent;

/// How many reports wait for the node before frames are dropped.
pub const REPORTS_CAPACITY: usize = 4_096;

/// The least time between two log lines about dropped frames.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// The sending end, for those who implement [`Bus`](crate::ports::Bus): frames that find the channel full are dropped
/// and counted in the log; all other reports wait aside and are never dropped. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BusReports(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: mpsc::Sender<BusEvent>,
    receiver: Mutex<Option<mpsc::Receiver<BusEvent>>>,
    aside: Mutex<Aside>,
    dropped: Mutex<Dropped>,
}

#[derive(Debug, Default)]
struct Aside {
    waiting: VecDeque<BusEvent>,
    draining: bool,
}

#[derive(Debug, Default)]
struct Dropped {
    frames: u64,
    logged_at: Option<Instant>,
}

impl BusReports {
    /// A channel for `capacity` reports, at least one.
    pub fn new(capacity: usize) -> Self {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        Self(Arc::new(Inner {
            sender,
            receiver: Mutex::new(Some(receiver)),
            aside: Mutex::default(),
            dropped: Mutex::default(),
        }))
    }

    /// The receiving end; `None` from the second call on.
    pub fn take_receiver(&self) -> Option<mpsc::Receiver<BusEvent>> {
        self.0.receiver.lock().take()
    }

    /// Reports `event` without waiting. Must be called inside a Tokio runtime.
    pub fn send(&self, event: BusEvent) {
        if matches!(event, BusEvent::Frame { .. }) {
            if let Err(TrySendError::Full(_)) = self.0.sender.try_send(event) {
                self.0.count_dropped();
            }
        } else {
            self.send_always(event);
        }
    }

    fn send_always(&self, event: BusEvent) {
        let mut aside = self.0.aside.lock();
        if !aside.draining {
            match self.0.sender.try_send(event) {
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(event)) => aside.keep(event),
            }
            aside.draining = true;
            tokio::spawn(drain(Arc::clone(&self.0)));
        } else {
            aside.keep(event);
        }
    }
}

impl Aside {
    /// Keeps at most one report for each topic and one about the connection, the newest: an older one says nothing
    /// more to a node that has not read it yet.
    fn keep(&mut self, event: BusEvent) {
        let same = |old: &BusEvent| match (old, &event) {
            (BusEvent::Subscribed(a), BusEvent::Subscribed(b)) => a == b,
            (BusEvent::Up | BusEvent::Down, BusEvent::Up | BusEvent::Down) => true,
            _ => false,
        };
        self.waiting.retain(|old| !same(old));
        self.waiting.push_back(event);
    }
}

impl Inner {
    fn count_dropped(&self) {
        let mut dropped = self.dropped.lock();
        dropped.frames += 1;
        if dropped.logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            tracing::warn!(
                frames = dropped.frames,
                "this node does not keep up with the bus: frames were dropped, their events are read from the store"
            );
            *dropped = Dropped {
                frames: 0,
                logged_at: Some(Instant::now()),
            };
        }
    }
}

async fn drain(inner: Arc<Inner>) {
    loop {
        let Ok(permit) = inner.sender.reserve().await else {
            return;
        };
        let mut aside = inner.aside.lock();
        match aside.waiting.pop_front() {
            Some(event) => permit.send(event),
            None => {
                aside.draining = false;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ports::Topic;

    fn frame() -> BusEvent {
        BusEvent::Frame {
            topic: Topic::Cluster,
            payload: Bytes::from_static(b"x"),
        }
    }

    #[tokio::test]
    async fn a_full_channel_drops_frames_and_keeps_the_rest() {
        let reports = BusReports::new(2);
        for _ in 0..5 {
            reports.send(frame());
        }
        reports.send(BusEvent::Down);
        reports.send(BusEvent::Subscribed(Topic::Cluster));
        reports.send(BusEvent::Up);
        reports.send(BusEvent::Subscribed(Topic::Cluster));

        let mut receiver = reports.take_receiver().unwrap();
        assert!(reports.take_receiver().is_none());
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(receiver.recv().await.unwrap());
        }
        assert_eq!(seen[..2], [frame(), frame()]);
        assert_eq!(seen[2..], [BusEvent::Up, BusEvent::Subscribed(Topic::Cluster)]);
        reports.send(frame());
        assert_eq!(receiver.recv().await, Some(frame()));
    }
}
