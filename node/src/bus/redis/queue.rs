//! What waits to be published.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::{Duration, Instant},
};

use actors::ports::Topic;
use bytes::Bytes;
use parking_lot::Mutex;
use protocol::RoomName;
use tokio::sync::Notify;

/// What one frame counts on top of its payload, in bytes.
const FRAME_OVERHEAD: usize = 128;
/// The most that goes into one round trip.
const BATCH_BYTES: usize = 1024 * 1024;
const BATCH_FRAMES: usize = 2_000;
/// Rooms whose head may be owed; those on top are left to the next frame of the room.
const MAX_OWED: usize = 100_000;
/// How long an owed head waits, so that many frames of a room cost one write.
const OWED_AFTER: Duration = Duration::from_millis(100);
const LOG_EVERY: Duration = Duration::from_secs(5);

/// A frame to publish; without a payload just a head to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Publication {
    pub(super) topic: Topic,
    pub(super) payload: Option<Bytes>,
    pub(super) head: Option<u64>,
}

/// Frames in the order in which they were handed over, bounded in bytes. The head of a frame that is dropped is owed:
/// it is written as soon as that is possible, because from it the other nodes find out what they have missed.
#[derive(Debug)]
pub(super) struct Queue {
    limit_bytes: usize,
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    closing: bool,
    frames: VecDeque<Publication>,
    /// Of the frames that wait and of those that are on their way.
    bytes: usize,
    owed: HashMap<RoomName, u64>,
    owed_since: Option<Instant>,
    dropped: u64,
    logged_at: Option<Instant>,
}

impl Queue {
    /// A queue for a bus that is down.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            state: Mutex::default(),
            ready: Notify::new(),
        }
    }

    /// Takes a frame, or drops it and owes its head.
    pub(super) fn push(&self, topic: &Topic, payload: Bytes, head: Option<u64>) {
        let mut state = self.state.lock();
        if state.closing {
            return;
        }
        let bytes = payload.len() + FRAME_OVERHEAD;
        // A frame above the limit would otherwise never pass.
        let fits = state.bytes + bytes <= self.limit_bytes || state.bytes == 0;
        if state.open && fits {
            state.bytes += bytes;
            state.frames.push_back(Publication {
                topic: topic.clone(),
                payload: Some(payload),
                head,
            });
        } else {
            if state.open {
                state.count_dropped(self.limit_bytes);
            }
            state.owe(topic, head);
        }
        drop(state);
        self.ready.notify_one();
    }

    /// The bus is up.
    pub(super) fn open(&self) {
        let mut state = self.state.lock();
        state.open = true;
        // Whoever asks for heads now should find them.
        state.owed_since = state.owed_since.and_then(|since| since.checked_sub(OWED_AFTER));
        drop(state);
        self.ready.notify_one();
    }

    /// The bus is down: drops what waits.
    pub(super) fn shut(&self) {
        let mut state = self.state.lock();
        state.open = false;
        for frame in mem::take(&mut state.frames) {
            state.bytes -= size(&frame);
            state.owe(&frame.topic, frame.head);
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Takes nothing more; [`Queue::next`] ends after what is there.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.ready.notify_one();
    }

    /// Waits for the next batch; `None` once the queue is closed and empty. Each batch must be followed by
    /// [`Queue::done`]. Cancel safe.
    pub(super) async fn next(&self) -> Option<Vec<Publication>> {
        loop {
            let wait = {
                let mut state = self.state.lock();
                let batch = state.batch();
                if !batch.is_empty() {
                    return Some(batch);
                }
                if state.closing {
                    return None;
                }
                state.open.then(|| state.owed_in()).flatten()
            };
            match wait {
                None => self.ready.notified().await,
                // Elapsed or woken, it looks again.
                Some(wait) => drop(tokio::time::timeout(wait, self.ready.notified()).await),
            }
        }
    }

    /// What became of a batch: `failed` are those of it that were not published.
    pub(super) fn done<'a>(&self, batch: &[Publication], failed: impl Iterator<Item = &'a Publication>) {
        let mut state = self.state.lock();
        state.bytes -= batch.iter().map(size).sum::<usize>();
        if !state.closing {
            for publication in failed {
                state.owe(&publication.topic, publication.head);
            }
        }
    }
}

impl State {
    fn owe(&mut self, topic: &Topic, head: Option<u64>) {
        let (Topic::Room(room), Some(head)) = (topic, head) else {
            return;
        };
        if let Some(owed) = self.owed.get_mut(room) {
            *owed = head.max(*owed);
        } else if self.owed.len() < MAX_OWED {
            self.owed.insert(room.clone(), head);
        }
        self.owed_since.get_or_insert_with(Instant::now);
    }

    /// How long until the owed heads are due; `None` if none are owed.
    fn owed_in(&self) -> Option<Duration> {
        let since = self.owed_since?;
        Some(if self.closing {
            Duration::ZERO
        } else {
            OWED_AFTER.saturating_sub(since.elapsed())
        })
    }

    fn batch(&mut self) -> Vec<Publication> {
        let mut batch = Vec::new();
        if !self.open {
            return batch;
        }
        if self.owed_in() == Some(Duration::ZERO) {
            let some: Vec<RoomName> = self.owed.keys().take(BATCH_FRAMES).cloned().collect();
            for room in some {
                let head = self.owed.remove(&room);
                batch.push(Publication {
                    topic: Topic::Room(room),
                    payload: None,
                    head,
                });
            }
            if self.owed.is_empty() {
                self.owed_since = None;
            }
        }
        let mut bytes = 0;
        while bytes < BATCH_BYTES && batch.len() < 2 * BATCH_FRAMES {
            let Some(frame) = self.frames.pop_front() else {
                break;
            };
            bytes += size(&frame);
            batch.push(frame);
        }
        batch
    }

    fn count_dropped(&mut self, limit_bytes: usize) {
        self.dropped += 1;
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            tracing::warn!(
                frames = self.dropped,
                limit_bytes,
                "the bus does not keep up: frames were dropped, other nodes read their events from the store"
            );
            self.dropped = 0;
            self.logged_at = Some(Instant::now());
        }
    }
}

fn size(publication: &Publication) -> usize {
    publication
        .payload
        .as_ref()
        .map_or(0, |payload| payload.len() + FRAME_OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> Topic {
        Topic::Room(RoomName::new("a").unwrap())
    }

    fn push(queue: &Queue, bytes: usize, head: u64) {
        queue.push(&topic(), Bytes::from(vec![0; bytes]), Some(head));
    }

    async fn take(queue: &Queue) -> Vec<(usize, Option<u64>)> {
        let batch = queue.next().await.unwrap();
        queue.done(&batch, [].into_iter());
        batch
            .iter()
            .map(|p| (p.payload.as_ref().map_or(0, Bytes::len), p.head))
            .collect()
    }

    #[tokio::test]
    async fn what_does_not_fit_leaves_its_head() {
        let queue = Queue::new(1_000);
        queue.open();
        for head in 1..=9 {
            push(&queue, 200, head);
        }
        assert_eq!(
            take(&queue).await,
            [(200, Some(1)), (200, Some(2)), (200, Some(3))]
        );
        assert_eq!(take(&queue).await, [(0, Some(9))]);
        push(&queue, 5_000, 10);
        assert_eq!(
            take(&queue).await,
            [(5_000, Some(10))],
            "a frame above the limit passes when it is alone"
        );
    }

    #[tokio::test]
    async fn frames_on_their_way_count() {
        let queue = Queue::new(1_000);
        queue.open();
        push(&queue, 700, 1);
        let batch = queue.next().await.unwrap();
        push(&queue, 700, 2);
        queue.done(&batch, batch.iter());
        assert_eq!(take(&queue).await, [(0, Some(2))]);
    }

    #[tokio::test]
    async fn while_down_only_the_highest_head_is_kept() {
        let queue = Queue::new(1_000);
        queue.open();
        push(&queue, 10, 5);
        queue.shut();
        push(&queue, 10, 7);
        push(&queue, 10, 6);
        assert!(
            tokio::time::timeout(Duration::from_millis(200), queue.next())
                .await
                .is_err()
        );
        queue.open();
        assert_eq!(take(&queue).await, [(0, Some(7))]);
    }

    #[tokio::test]
    async fn closing_lets_out_what_is_there() {
        let queue = Queue::new(300);
        queue.open();
        push(&queue, 100, 1);
        push(&queue, 100, 2);
        queue.close();
        push(&queue, 1, 3);
        assert_eq!(take(&queue).await, [(0, Some(2)), (100, Some(1))]);
        assert_eq!(queue.next().await, None);

        let down = Queue::new(300);
        push(&down, 100, 1);
        down.close();
        assert_eq!(
            down.next().await,
            None,
            "a bus that is down has nothing to wait for"
        );
    }
}
