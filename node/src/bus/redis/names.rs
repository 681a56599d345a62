//! The names of channels and keys, and where they live.

use actors::ports::Topic;
use protocol::RoomName;

/// How many slots a Redis Cluster has.
pub(super) const SLOTS: u16 = 16_384;

/// Names channels and keys. A room's name is their hash tag, so that its channel and its head live in one slot.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn channel(&self, topic: &Topic) -> String {
        match topic {
            Topic::Room(room) => format!("{}:{{{room}}}:events", self.prefix),
            Topic::Cluster => format!("{}:cluster", self.prefix),
        }
    }

    pub(super) fn head_key(&self, room: &RoomName) -> String {
        format!("{}:{{{room}}}:head", self.prefix)
    }

    /// What the key of every node's lease begins with; its name follows.
    pub(super) fn lease_prefix(&self) -> String {
        format!("{}:{{NODES}}:lease:", self.prefix)
    }

    /// The set of the nodes that have a lease. No room is called `NODES`.
    pub(super) fn lease_index(&self) -> String {
        format!("{}:{{NODES}}:index", self.prefix)
    }

    /// The channel and the head of the `n`th room that cannot exist, for trying out whether Redis takes writes.
    pub(super) fn probe(&self, n: u32) -> (String, String) {
        (
            format!("{}:{{PROBE-{n}}}:events", self.prefix),
            format!("{}:{{PROBE-{n}}}:head", self.prefix),
        )
    }

    /// The topic of a channel, if it is one of ours.
    pub(super) fn topic(&self, channel: &[u8]) -> Option<Topic> {
        let rest = channel.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b":")?;
        if rest == b"cluster" {
            return Some(Topic::Cluster);
        }
        let room = rest.strip_prefix(b"{")?.strip_suffix(b"}:events")?;
        RoomName::new(str::from_utf8(room).ok()?).ok().map(Topic::Room)
    }
}

/// The slot of a channel or key: that of the part in braces, if there is one.
pub(super) fn slot(name: &str) -> u16 {
    let tag = name
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(tag, _)| tag)
        .filter(|tag| !tag.is_empty());
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(name).as_bytes()) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_lives_in_one_slot_and_its_channel_is_understood() {
        let names = Names::new("a:b".into());
        let room = RoomName::new("general").unwrap();
        let topic = Topic::Room(room.clone());
        assert_eq!(names.channel(&topic), "a:b:{general}:events");
        assert_eq!(names.head_key(&room), "a:b:{general}:head");
        assert_eq!(slot(&names.channel(&topic)), slot(&names.head_key(&room)));
        assert_eq!(slot(&names.channel(&topic)), slot("general"));
        for topic in [topic, Topic::Cluster] {
            assert_eq!(names.topic(names.channel(&topic).as_bytes()), Some(topic));
        }
        for foreign in [
            "a:b",
            "a:b:{}:events",
            "a:b:{X}:events",
            "a:c:cluster",
            &names.probe(1).0,
        ] {
            assert_eq!(names.topic(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("123456789"), 12_739);
    }
}
