//! What simulated clients did and saw, written down while it happens, so that it can be checked afterwards.
//!
//! A journal is a file of MessagePack values, one [`Entry`] each, in the order in which they were written; several clients
//! may share one. It is written by whoever simulates clients and read by [`crate::check`].

mod digest;
mod reader;
mod writer;

use serde::{Deserialize, Serialize};

pub(crate) use digest::Lasting;
pub use digest::{Digest, event_digest, text_digest};
pub use reader::{Entries, files};
pub use writer::{Clock, Journal, Scribe};

/// Of this format.
pub const VERSION: u32 = 1;
/// The ending of a journal's name.
pub const EXTENSION: &str = "journal";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in Unix microseconds by a clock that does not go back.
    pub at: u64,
    /// To which client; unique over all journals that are checked together.
    pub client: u32,
    /// On which of its connections, counted from 1; 0: on none.
    pub conn: u32,
    /// What.
    pub what: What,
}

/// What happened. The names on disk are one letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Begins every file.
    #[serde(rename = "h")]
    Header {
        /// [`VERSION`].
        version: u32,
    },
    /// The client is this person from now on.
    #[serde(rename = "u")]
    Person {
        /// The person's id.
        user: String,
    },
    /// A connection was welcomed.
    #[serde(rename = "c")]
    Connected {
        /// The node that serves it.
        node: String,
        /// The history of the store.
        epoch: String,
    },
    /// A connection could not be made.
    #[serde(rename = "x")]
    Unreachable {
        /// Why, in words.
        why: String,
    },
    /// A room was opened: its first event on this connection is `after + 1`.
    #[serde(rename = "o")]
    Opened {
        /// Which room.
        room: String,
        /// The position that the client asked for; `None` if it asked for the newest events.
        asked: Option<u64>,
        /// Where the events begin, exclusive.
        after: u64,
        /// The last committed `seq`, as the node said.
        head: u64,
        /// The node said to forget what the client had.
        reset: bool,
    },
    /// The room was closed by the client.
    #[serde(rename = "l")]
    Left {
        /// Which room.
        room: String,
    },
    /// A command that writes an event was sent, for the first time or again.
    #[serde(rename = "s")]
    Sent {
        /// Which room.
        room: String,
        /// What makes it safe to repeat.
        cid: String,
        /// Which command.
        op: Op,
        /// [`text_digest`] of its text; 0: it has none.
        text: u32,
        /// The message that it is about; 0: none.
        target: u64,
        /// When it was due, in Unix microseconds; the same for every repetition.
        due: u64,
    },
    /// The command was answered with `ok`.
    #[serde(rename = "a")]
    Acked {
        /// Which room.
        room: String,
        /// The command.
        cid: String,
        /// Its place in the room.
        seq: u64,
        /// The store's time, in Unix milliseconds.
        time: u64,
    },
    /// The command was answered with an error that asks to try again.
    #[serde(rename = "p")]
    PushedBack {
        /// The command.
        cid: String,
        /// `overloaded` or `rate_limited`.
        code: String,
        /// After how many milliseconds.
        retry_after_ms: u64,
    },
    /// The command was refused for good.
    #[serde(rename = "n")]
    Refused {
        /// The command.
        cid: String,
        /// Why.
        code: String,
    },
    /// Events were shown.
    #[serde(rename = "r")]
    Received {
        /// Which room.
        room: String,
        /// `seq` of the first; the others follow without a hole.
        first: u64,
        /// [`event_digest`] of each.
        events: Vec<u64>,
        /// [`text_digest`] of each; 0: it has no text, or none any more.
        texts: Vec<u32>,
    },
    /// The node said that events are left out.
    #[serde(rename = "g")]
    Gap {
        /// Which room.
        room: String,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The node asked to move.
    #[serde(rename = "m")]
    Goaway {
        /// After how many milliseconds.
        after_ms: u64,
        /// Why.
        reason: String,
    },
    /// The connection ended.
    #[serde(rename = "e")]
    Ended {
        /// The close code, if there was one.
        code: Option<u16>,
        /// Whether the client wanted it.
        own: bool,
        /// Why, in words.
        why: String,
    },
    /// The client itself saw the wire's rules broken.
    #[serde(rename = "b")]
    Broken {
        /// How.
        what: String,
    },
    /// The client reads nothing from now on, on purpose; or reads again.
    #[serde(rename = "t")]
    Stalled {
        /// Whether it reads nothing.
        on: bool,
    },
    /// Somebody looked into the store directly.
    #[serde(rename = "w")]
    Witnessed {
        /// Which room.
        room: String,
        /// Its last committed `seq` then.
        head: u64,
        /// When the look began, in Unix microseconds: what was committed before is in it.
        began: u64,
    },
    /// The client ended in good order, after everything that it waited for.
    #[serde(rename = "f")]
    Finished,
}

/// A command that writes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the wire's own words")]
pub enum Op {
    #[serde(rename = "s")]
    Send,
    #[serde(rename = "e")]
    Edit,
    #[serde(rename = "d")]
    Delete,
    #[serde(rename = "r")]
    React,
}

impl What {
    /// The events of a frame, as they are written down; they must have no hole among them.
    pub fn received(room: &protocol::RoomName, events: &[protocol::Event]) -> Self {
        Self::Received {
            room: room.to_string(),
            first: events.first().map_or(0, |event| event.seq),
            events: events.iter().map(event_digest).collect(),
            texts: events.iter().map(digest::shown_text).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path(), "one").unwrap();
        let scribe = journal.scribe(7);
        let all = [
            What::Person { user: "g_1".into() },
            What::Opened {
                room: "lobby".into(),
                asked: Some(3),
                after: 3,
                head: 9,
                reset: false,
            },
            What::Received {
                room: "lobby".into(),
                first: 4,
                events: vec![u64::MAX, 1],
                texts: vec![0, u32::MAX],
            },
            What::Finished,
        ];
        for what in &all {
            scribe.write(2, what.clone());
        }
        journal.close().unwrap();
        let files = files(folder.path()).unwrap();
        assert_eq!(files.len(), 1);
        let read: Vec<Entry> = Entries::open(&files[0]).unwrap().map(Result::unwrap).collect();
        assert_eq!(read[0].what, What::Header { version: VERSION });
        let back: Vec<What> = read[1..].iter().map(|entry| entry.what.clone()).collect();
        assert_eq!(back, all);
        assert!(read[1..].iter().all(|entry| (entry.client, entry.conn) == (7, 2)));
        assert!(read.windows(2).all(|two| two[0].at <= two[1].at));
    }

    #[test]
    fn a_file_that_is_no_journal_or_cut_short_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.journal");
        std::fs::write(&path, b"no journal").unwrap();
        let error = Entries::open(&path).map(drop).unwrap_err();
        assert!(format!("{error:#}").contains("x.journal"), "{error:#}");

        let journal = Journal::create(folder.path(), "y").unwrap();
        journal.scribe(1).write(1, What::Left { room: "lobby".into() });
        journal.close().unwrap();
        let path = folder.path().join("y.journal");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 2]).unwrap();
        let last = Entries::open(&path).unwrap().last().unwrap();
        assert!(format!("{:#}", last.unwrap_err()).contains("y.journal"));
    }
}
