//! How people are at one moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of all people of one player, or of several.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// People that there are.
    pub people: u64,
    /// Of them: without a connection, or not in all their rooms yet.
    pub outside: u64,
    /// Commands that are not answered for good.
    pub unanswered: u64,
    /// The least and the greatest last event that anybody has, by room.
    pub rooms: BTreeMap<String, (u64, u64)>,
}

impl Standing {
    /// Adds others.
    pub fn add(&mut self, others: Self) {
        self.people += others.people;
        self.outside += others.outside;
        self.unanswered += others.unanswered;
        for (room, (least, greatest)) in others.rooms {
            let known = self.rooms.entry(room).or_insert((least, greatest));
            *known = (known.0.min(least), known.1.max(greatest));
        }
    }

    /// Somebody has a room up to there.
    pub(super) fn has(&mut self, room: &str, position: u64) {
        // Most rooms are known: their names are not copied again.
        if let Some(known) = self.rooms.get_mut(room) {
            *known = (known.0.min(position), known.1.max(position));
        } else {
            self.rooms.insert(room.to_owned(), (position, position));
        }
    }

    /// Whether everybody is there, has all answers, and has what everybody else in the room has.
    pub fn is_even(&self) -> bool {
        self.outside == 0 && self.unanswered == 0 && self.behind() == 0
    }

    /// Rooms in which somebody lacks what somebody else has.
    pub fn behind(&self) -> usize {
        self.rooms
            .values()
            .filter(|(least, greatest)| least != greatest)
            .count()
    }

    /// What is not as it should be, in words.
    pub fn describe(&self) -> String {
        format!(
            "{} of {} people are not in all their rooms, {} commands are unanswered, in {} rooms somebody lacks events",
            self.outside,
            self.people,
            self.unanswered,
            self.behind()
        )
    }
}
