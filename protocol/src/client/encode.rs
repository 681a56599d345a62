//! Commands to frames: what a client writes.

use serde::{Serialize, Serializer};

use super::{Command, JoinFrom, PageBound};
use crate::RoomName;

/// A command as a client sends it. Encode it with [`crate::Codec::encode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFrame {
    /// Comes back in the command's one answer; without it success is silent.
    pub id: Option<u32>,
    /// What is to be done.
    pub command: Command,
}

/// A command as it lies on the wire: one flat map.
#[derive(Default, Serialize)]
struct FlatCommand<'a> {
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a RoomName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<Positions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<&'a str>,
}

/// The map of `resume`.
struct Positions<'a>(&'a [(String, u64)]);

impl Serialize for Positions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(room, seq)| (room, seq)))
    }
}

impl Serialize for ClientFrame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        FlatCommand {
            id: self.id,
            ..FlatCommand::new(&self.command)
        }
        .serialize(serializer)
    }
}

impl<'a> FlatCommand<'a> {
    fn new(command: &'a Command) -> Self {
        let mut flat = Self {
            op: command.op(),
            room: command.room(),
            cid: command.cid(),
            ..Self::default()
        };
        match command {
            Command::Hello(hello) => {
                flat.token = hello.token.as_deref();
                flat.guest = hello.guest.as_deref();
                flat.resume = hello.resume.as_deref().map(Positions);
                flat.epoch = hello.epoch.as_deref();
            }
            Command::Join { from, .. } => match *from {
                JoinFrom::After(after) => flat.after = Some(after),
                JoinFrom::Newest(limit) => flat.limit = Some(limit),
            },
            Command::Send { text, reply_to, .. } => {
                flat.text = Some(text);
                flat.reply_to = *reply_to;
            }
            Command::Edit { seq, text, .. } => {
                flat.seq = Some(*seq);
                flat.text = Some(text);
            }
            Command::React { seq, emoji, on, .. } => {
                flat.seq = Some(*seq);
                flat.emoji = Some(emoji);
                flat.on = Some(*on);
            }
            Command::History { page, .. } => {
                match page.bound {
                    PageBound::Newest => {}
                    PageBound::Before(before) => flat.before = Some(before),
                    PageBound::After(after) => flat.after = Some(after),
                }
                flat.limit = Some(page.limit);
            }
            Command::Delete { seq, .. } | Command::Read { seq, .. } => flat.seq = Some(*seq),
            Command::Leave { .. } | Command::Typing { .. } | Command::Presence { .. } | Command::Ping => {}
        }
        flat
    }
}
