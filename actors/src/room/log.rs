//! What a node knows of a room's log: how far it is applied, what came early, what is missing. Pure: no time, no I/O.

use std::{collections::BTreeMap, sync::Arc};

use protocol::{Event, EventBody};

use super::ring::Ring;
use crate::planted::{self, Bug};

/// Bytes of early events that are held; what is beyond is read from the store instead.
const MAX_EARLY_BYTES: usize = 1024 * 1024;

/// A room's log on one node.
///
/// Invariant (`one order`): events leave [`RoomLog::offer`] in the order of `seq`, each once, without a hole, whatever
/// comes in.
pub(super) struct RoomLog {
    applied: u64,
    known_head: u64,
    amended: u64,
    ring: Ring,
    early: BTreeMap<u64, Event>,
    early_bytes: usize,
}

impl RoomLog {
    /// A log that continues behind `head`. `recent` are the events up to it, as far as they were read.
    pub(super) fn new(head: u64, recent: Vec<Event>, mut ring: Ring) -> Self {
        let reaches_head = recent.last().is_some_and(|last| last.seq >= head);
        let applied = if reaches_head {
            recent.last().map_or(head, |last| last.seq)
        } else {
            head
        };
        if reaches_head {
            for event in recent {
                ring.push(Arc::new(event));
            }
        }
        Self {
            applied,
            known_head: applied,
            amended: 0,
            ring,
            early: BTreeMap::new(),
            early_bytes: 0,
        }
    }

    /// The last event that members were shown, or are being shown.
    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    /// The last event that changed what is shown of those before it; 0 if there was none since the log began here.
    pub(super) fn amended(&self) -> u64 {
        self.amended
    }

    /// The highest `seq` known to be committed.
    pub(super) fn known_head(&self) -> u64 {
        self.known_head
    }

    /// The recent events.
    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Somebody says that `head` is committed.
    pub(super) fn hint(&mut self, head: u64) {
        self.known_head = self.known_head.max(head);
    }

    /// The store has nothing behind [`Self::applied`]: forgets what was said to be there.
    pub(super) fn nothing_beyond(&mut self) {
        self.known_head = self.applied;
        self.early.clear();
        self.early_bytes = 0;
    }

    /// Whether events up to [`Self::known_head`] are missing here.
    pub(super) fn is_behind(&self) -> bool {
        self.applied < self.known_head
    }

    /// Takes committed events from any source, in any order, with repeats. Returns those that can now be shown.
    pub(super) fn offer(&mut self, events: impl IntoIterator<Item = Event>) -> Vec<Arc<Event>> {
        let mut ready = Vec::new();
        for event in events {
            self.hint(event.seq);
            if event.seq == self.applied + 1
                || (event.seq > self.applied && planted::has(Bug::OrderIsNotChecked))
            {
                self.apply(event, &mut ready);
                self.apply_early(&mut ready);
            } else if event.seq > self.applied + 1 {
                self.hold(event);
            }
        }
        ready
    }

    fn apply(&mut self, event: Event, ready: &mut Vec<Arc<Event>>) {
        self.applied = event.seq;
        if matches!(event.body, EventBody::Edit { .. } | EventBody::Delete { .. }) {
            self.amended = event.seq;
        }
        let event = Arc::new(event);
        self.ring.push(Arc::clone(&event));
        ready.push(event);
    }

    fn apply_early(&mut self, ready: &mut Vec<Arc<Event>>) {
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() > self.applied + 1 {
                break;
            }
            let event = entry.remove();
            self.early_bytes -= event.payload_bytes();
            if event.seq == self.applied + 1 {
                self.apply(event, ready);
            }
        }
    }

    fn hold(&mut self, event: Event) {
        let bytes = event.payload_bytes();
        if self.early_bytes + bytes > MAX_EARLY_BYTES || self.early.contains_key(&event.seq) {
            return;
        }
        self.early_bytes += bytes;
        self.early.insert(event.seq, event);
    }
}

#[cfg(test)]
mod tests {
    use protocol::Person;

    use super::*;

    fn person() -> Person {
        Person {
            id: "u1".into(),
            name: "Ada".into(),
        }
    }

    fn message(seq: u64) -> Event {
        let body = EventBody::Message {
            text: format!("m{seq}").into(),
            reply_to: None,
            edited_at: None,
            deleted: false,
        };
        Event {
            seq,
            user: person(),
            at: seq,
            cid: None,
            body,
        }
    }

    fn log(head: u64) -> RoomLog {
        RoomLog::new(head, Vec::new(), Ring::new(256, 256 * 1024))
    }

    fn seqs(events: &[Arc<Event>]) -> Vec<u64> {
        events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn repeats_and_reordering_come_out_once_and_in_order() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let count = random.u64(1..60);
            let mut arrivals: Vec<u64> = (1..=count).chain((1..=count).filter(|s| s % 3 == 0)).collect();
            random.shuffle(&mut arrivals);
            let mut log = log(0);
            let mut shown = Vec::new();
            for seq in arrivals {
                shown.extend(seqs(&log.offer([message(seq)])));
            }
            assert_eq!(shown, (1..=count).collect::<Vec<_>>());
            assert!(!log.is_behind());
        }
    }

    #[test]
    fn a_hole_holds_back_what_follows() {
        let mut log = log(4);
        assert_eq!(seqs(&log.offer([message(7), message(6)])), Vec::<u64>::new());
        assert!(log.is_behind());
        assert_eq!(seqs(&log.offer([message(5)])), [5, 6, 7]);
        assert!(!log.is_behind());
    }

    #[test]
    fn early_events_are_bounded_and_still_known_to_exist() {
        let mut log = log(0);
        let big: Arc<str> = "x".repeat(16 * 1024).into();
        for seq in 2..200 {
            let mut event = message(seq);
            event.body = EventBody::Message {
                text: Arc::clone(&big),
                reply_to: None,
                edited_at: None,
                deleted: false,
            };
            log.offer([event]);
        }
        assert!(log.early_bytes <= MAX_EARLY_BYTES);
        assert_eq!(log.known_head(), 199);
        assert!(log.is_behind());
    }

    #[test]
    fn the_ring_shows_the_present_state() {
        let mut log = log(0);
        let edit = |seq, target, text: &str| Event {
            body: EventBody::Edit {
                target,
                text: Some(text.into()),
            },
            ..message(seq)
        };
        log.offer([message(1), message(2), edit(3, 1, "new"), edit(4, 1, "newer")]);
        let page = log.ring().after(0, usize::MAX).unwrap();
        assert!(
            matches!(&page[0].body, EventBody::Message { text, edited_at: Some(4), .. } if &**text == "newer")
        );
        assert!(matches!(&page[2].body, EventBody::Edit { text: None, .. }));
        assert!(matches!(&page[3].body, EventBody::Edit { text: Some(_), .. }));
        log.offer([Event {
            body: EventBody::Delete { target: 1 },
            ..message(5)
        }]);
        let page = log.ring().after(0, usize::MAX).unwrap();
        assert!(matches!(&page[0].body, EventBody::Message { text, deleted: true, .. } if text.is_empty()));
        assert!(
            page[2..4]
                .iter()
                .all(|event| matches!(&event.body, EventBody::Edit { text: None, .. }))
        );
    }

    #[test]
    fn the_ring_tells_what_it_does_not_reach() {
        let mut log = RoomLog::new(0, Vec::new(), Ring::new(4, usize::MAX));
        log.offer((1..=10).map(message));
        assert!(log.ring().after(5, usize::MAX).is_none());
        assert_eq!(seqs(&log.ring().after(6, usize::MAX).unwrap()), [7, 8, 9, 10]);
        assert_eq!(
            seqs(&log.ring().after(8, 1).unwrap()),
            [9],
            "at least one, whatever its size"
        );
        assert_eq!(
            seqs(&log.ring().after(10, usize::MAX).unwrap()),
            Vec::<u64>::new()
        );
    }

    #[test]
    fn a_page_that_ends_below_the_head_is_not_taken_for_the_newest() {
        let log = RoomLog::new(9, vec![message(3)], Ring::new(4, usize::MAX));
        assert_eq!(log.applied(), 9);
        assert!(log.ring().after(8, usize::MAX).is_none());
    }
}
