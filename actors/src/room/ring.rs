//! The newest events of a room, in their present state.

use std::{collections::VecDeque, sync::Arc};

use protocol::{Event, EventBody};

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
