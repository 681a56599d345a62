//! Who sends what, when and where; and what of it was seen.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::OnceLock,
    time::Duration,
};

use protocol::{Event, EventBody, RoomName};

use super::SmokeArgs;

/// The plan of a run, and the log that all members of a room must agree on.
pub(super) struct Script {
    /// Makes rooms and texts of this run differ from those of others.
    run: u64,
    pub(super) connections: usize,
    pub(super) messages: usize,
    pub(super) rooms: usize,
    rate: u32,
    pub(super) timeout: Duration,
    /// By room and `seq` − 1: the message and a fingerprint of the event, as whoever saw it first did.
    seen: Vec<Vec<OnceLock<Seen>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    message: usize,
    fingerprint: u64,
}

impl Script {
    pub(super) fn new(args: &SmokeArgs) -> Self {
        let mut script = Self {
            run: fastrand::u64(..),
            connections: args.connections as usize,
            messages: args.messages as usize,
            // A room without a client would get no messages.
            rooms: args.rooms.min(args.connections) as usize,
            rate: args.rate,
            timeout: args.timeout(),
            seen: Vec::new(),
        };
        let mut sizes = vec![0; script.rooms];
        for message in 0..script.messages {
            sizes[script.room_of(script.sender_of(message))] += 1;
        }
        script.seen = sizes
            .into_iter()
            .map(|size| (0..size).map(|_| OnceLock::new()).collect())
            .collect();
        script
    }

    pub(super) fn room_name(&self, room: usize) -> Result<RoomName, protocol::name::InvalidRoomName> {
        RoomName::new(&format!("smoke-{:016x}-{room}", self.run))
    }

    pub(super) fn room_of(&self, member: usize) -> usize {
        member % self.rooms
    }

    /// How many messages go into the room.
    pub(super) fn messages_in(&self, room: usize) -> usize {
        self.seen[room].len()
    }

    pub(super) fn sender_of(&self, message: usize) -> usize {
        message % self.connections
    }

    /// The messages of one member, in order.
    pub(super) fn messages_of(&self, member: usize) -> impl Iterator<Item = usize> + use<> {
        (member..self.messages).step_by(self.connections)
    }

    /// When a message is due, from the start.
    pub(super) fn due(&self, message: usize) -> Duration {
        Duration::from_secs(1) * u32::try_from(message).unwrap_or(u32::MAX) / self.rate
    }

    /// When the run is given up, from the start.
    pub(super) fn deadline(&self) -> Duration {
        self.due(self.messages) + self.timeout
    }

    pub(super) fn cid(&self, message: usize) -> String {
        format!("m{message}")
    }

    /// Of 30 to 230 bytes, with what codecs like to get wrong.
    pub(super) fn text(&self, message: usize) -> String {
        let filler = "é\"\\\n🙂 ".repeat(message % 17);
        format!("message {message} of {:016x} {filler}", self.run)
    }

    /// Checks an event against what was sent and against what other members were shown, and says which message it is.
    pub(super) fn recognise(&self, room: usize, event: &Event, people: &[String]) -> Result<usize, String> {
        let seq = event.seq;
        let cid = event.cid.as_deref().unwrap_or_default();
        let message = cid
            .strip_prefix('m')
            .and_then(|number| number.parse::<usize>().ok());
        let message = message.filter(|message| *message < self.messages);
        let message = message.ok_or_else(|| format!("event {seq} has the unknown cid `{cid}`"))?;
        let sender = self.sender_of(message);
        if people.get(sender).is_none_or(|id| **id != *event.user.id) || self.room_of(sender) != room {
            return Err(format!(
                "event {seq} with cid `{cid}` is said to be from {}",
                event.user.id
            ));
        }
        match &event.body {
            EventBody::Message { text, .. } if **text == self.text(message) => {}
            other => return Err(format!("event {seq} is not what was sent: {other:?}")),
        }
        let seen = Seen {
            message,
            fingerprint: fingerprint(event),
        };
        let slot = usize::try_from(seq - 1)
            .ok()
            .and_then(|place| self.seen[room].get(place));
        match slot.map(|slot| slot.get_or_init(|| seen)) {
            Some(first) if *first == seen => Ok(message),
            Some(first) => Err(format!(
                "event {seq} is message {message} here and message {} elsewhere, or differs in another field",
                first.message
            )),
            None => Err(format!("event {seq} is more than was sent")),
        }
    }

    /// Messages that are in their room's log twice or not at all.
    pub(super) fn misplaced(&self) -> Vec<String> {
        let mut times = vec![0; self.messages];
        for seen in self.seen.iter().flatten().filter_map(OnceLock::get) {
            times[seen.message] += 1;
        }
        let wrong = times.iter().enumerate().filter(|(_, times)| **times != 1);
        wrong
            .map(|(message, times)| format!("message {message} is in its room {times} times"))
            .collect()
    }
}

fn fingerprint(event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    (event.seq, event.at, &event.user, &event.cid).hash(&mut hasher);
    hasher.finish()
}
