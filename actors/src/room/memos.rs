//! The frames that were made last for who is behind, so that many who miss the same are served from one read and one
//! encoding.

use std::collections::VecDeque;

use crate::frame::{EventsFrame, SharedFrame};

/// Enough for a whole replay in full pages. Each has about 48 KiB in each codec.
const FRAMES: usize = 4;

/// By the `seq` that they follow. An edit changes what is shown of earlier events, so all are void when something is
/// committed.
#[derive(Default)]
pub(super) struct Memos(VecDeque<(u64, SharedFrame<EventsFrame>)>);

impl Memos {
    /// The frame that follows `after`.
    pub(super) fn get(&self, after: u64) -> Option<&SharedFrame<EventsFrame>> {
        self.0
            .iter()
            .find(|(known, _)| *known == after)
            .map(|(_, frame)| frame)
    }

    /// Remembers a frame in place of the oldest.
    pub(super) fn put(&mut self, after: u64, frame: SharedFrame<EventsFrame>) {
        self.remove(after);
        self.0.truncate(FRAMES - 1);
        self.0.push_front((after, frame));
    }

    /// Forgets the frame that follows `after`.
    pub(super) fn remove(&mut self, after: u64) {
        self.0.retain(|(known, _)| *known != after);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
