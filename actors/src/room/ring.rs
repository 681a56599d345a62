//! The newest events of a room, in their present state.

use std::{collections::VecDeque, sync::Arc};

use protocol::{Event, EventBody, Page, client::PageBound};

use crate::planted::{self, Bug};

/// A gapless run of the newest events, bounded in number and bytes. What is older is read from the store.
pub(super) struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl Ring {
    pub(super) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            max_events,
            max_bytes,
        }
    }

    /// Adds the event that follows the newest one, and brings the events that it changes up to date.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        debug_assert!(self.events.back().is_none_or(|last| last.seq + 1 == event.seq));
        self.amend(&event);
        self.bytes += cost(&event);
        self.events.push_back(event);
        while self.events.len() > self.max_events || (self.bytes > self.max_bytes && self.events.len() > 1) {
            if let Some(oldest) = self.events.pop_front() {
                self.bytes -= cost(&oldest);
            }
        }
    }

    /// The events behind `after`, oldest first: as many as fit into `max_bytes`, but at least one. `None` when the ring
    /// does not reach back that far.
    pub(super) fn after(&self, after: u64, max_bytes: usize) -> Option<Vec<Arc<Event>>> {
        let first = self.events.front()?.seq;
        let first = if planted::has(Bug::RingReachesTooFar) {
            first.min(after + 1)
        } else {
            first
        };
        let skip = usize::try_from((after + 1).checked_sub(first)?).ok()?;
        let skip = skip + usize::from(planted::has(Bug::RingSkipsOne) && skip + 1 < self.events.len());
        let mut bytes = 0;
        Some(
            self.events
                .iter()
                .skip(skip)
                .enumerate()
                .take_while(|(index, event)| {
                    bytes += event.payload_bytes();
                    *index == 0 || bytes <= max_bytes
                })
                .map(|(_, event)| Arc::clone(event))
                .collect(),
        )
    }

    /// A page of history, as far as the ring has it, and whether there is more in that direction. `None` when it has not
    /// even the first event of it. `limit` is at least 1.
    pub(super) fn page(&self, page: Page) -> Option<(Vec<Arc<Event>>, bool)> {
        let (first, last) = (self.events.front()?.seq, self.events.back()?.seq);
        let (from, to) = match page.bound {
            PageBound::Newest => ((last + 1).saturating_sub(page.limit), last),
            PageBound::Before(before) => (before.saturating_sub(page.limit), before.checked_sub(1)?),
            PageBound::After(after) => (after + 1, (after + page.limit).min(last)),
        };
        let backwards = !matches!(page.bound, PageBound::After(_));
        let from = if backwards { from.max(first) } else { from };
        if from < first || to > last || from > to + u64::from(!backwards) {
            return None;
        }
        let within = self
            .events
            .iter()
            .filter(|event| (from..=to).contains(&event.seq));
        Some((
            within.cloned().collect(),
            if backwards { from > 1 } else { to < last },
        ))
    }

    /// History is shown in its present state: an edit or a delete changes the events before it.
    fn amend(&mut self, by: &Event) {
        let (target, present) = match &by.body {
            EventBody::Edit {
                target,
                text: Some(text),
            } => (*target, Some(text)),
            EventBody::Delete { target } => (*target, None),
            _ => return,
        };
        for event in self.events.iter_mut().filter(|event| concerns(event, target)) {
            self.bytes -= cost(event);
            match &mut Arc::make_mut(event).body {
                EventBody::Message {
                    text,
                    edited_at,
                    deleted,
                    ..
                } => match present {
                    Some(present) => {
                        *text = Arc::clone(present);
                        *edited_at = Some(by.at);
                    }
                    None => {
                        *text = "".into();
                        *deleted = true;
                    }
                },
                EventBody::Edit { text, .. } => *text = None,
                _ => {}
            }
            self.bytes += cost(event);
        }
    }
}

fn concerns(event: &Event, message: u64) -> bool {
    match &event.body {
        EventBody::Message { .. } => event.seq == message,
        EventBody::Edit { target, .. } => *target == message,
        _ => false,
    }
}

fn cost(event: &Event) -> usize {
    std::mem::size_of::<Event>() + event.payload_bytes()
}

#[cfg(test)]
mod tests {
    use protocol::Person;

    use super::*;

    fn ring(seqs: std::ops::RangeInclusive<u64>) -> Ring {
        let mut ring = Ring::new(100, 1_000_000);
        for seq in seqs {
            ring.push(Arc::new(Event {
                seq,
                user: Person {
                    id: "u".into(),
                    name: "U".into(),
                },
                at: seq,
                cid: None,
                body: EventBody::Delete { target: 1 },
            }));
        }
        ring
    }

    fn page(ring: &Ring, bound: PageBound, limit: u64) -> Option<(Vec<u64>, bool)> {
        let (events, more) = ring.page(Page { bound, limit })?;
        Some((events.iter().map(|event| event.seq).collect(), more))
    }

    #[test]
    fn pages_are_what_the_store_would_give_as_far_as_the_ring_reaches() {
        let ring = ring(11..=20);
        assert_eq!(page(&ring, PageBound::Newest, 3), Some((vec![18, 19, 20], true)));
        assert_eq!(
            page(&ring, PageBound::Newest, 200),
            Some(((11..=20).collect(), true))
        );
        assert_eq!(page(&ring, PageBound::Before(14), 2), Some((vec![12, 13], true)));
        assert_eq!(page(&ring, PageBound::Before(21), 1), Some((vec![20], true)));
        assert_eq!(page(&ring, PageBound::After(17), 2), Some((vec![18, 19], true)));
        assert_eq!(page(&ring, PageBound::After(18), 9), Some((vec![19, 20], false)));
        assert_eq!(page(&ring, PageBound::After(20), 9), Some((vec![], false)));
        assert_eq!(page(&ring, PageBound::After(10), 1), Some((vec![11], true)));
    }

    #[test]
    fn what_the_ring_does_not_have_is_left_to_the_store() {
        let ring = ring(11..=20);
        assert_eq!(page(&ring, PageBound::Before(11), 5), None);
        assert_eq!(page(&ring, PageBound::Before(1), 5), None);
        assert_eq!(page(&ring, PageBound::Before(30), 5), None);
        assert_eq!(page(&ring, PageBound::After(9), 5), None);
        assert_eq!(page(&ring, PageBound::After(25), 5), None);
        assert_eq!(page(&Ring::new(9, 9), PageBound::Newest, 5), None);
    }

    #[test]
    fn a_ring_from_the_beginning_says_that_there_is_no_more() {
        let ring = ring(1..=3);
        assert_eq!(page(&ring, PageBound::Newest, 50), Some((vec![1, 2, 3], false)));
        assert_eq!(page(&ring, PageBound::Before(2), 50), Some((vec![1], false)));
    }
}
