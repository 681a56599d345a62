//! An event as it lies on the wire: one flat map. Serde's own `flatten` would buffer every value on the hot path.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

use super::{Event, EventBody, MemberChange, Person, RoomChange, RoomValue};

#[derive(Serialize)]
struct Written<'a> {
    seq: u64,
    kind: &'static str,
    user: &'a Person,
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a RoomValue>,
}

impl<'a> Written<'a> {
    fn new(event: &'a Event) -> Self {
        let mut flat = Self {
            seq: event.seq,
            kind: event.body.kind(),
            user: &event.user,
            at: event.at,
            cid: event.cid.as_deref(),
            target: None,
            text: None,
            reply_to: None,
            edited_at: None,
            deleted: None,
            emoji: None,
            on: None,
            change: None,
            who: None,
            role: None,
            until: None,
            reason: None,
            value: None,
        };
        match &event.body {
            EventBody::Message {
                text,
                reply_to,
                edited_at,
                deleted,
            } => {
                flat.text = Some(text);
                flat.reply_to = *reply_to;
                flat.edited_at = *edited_at;
                flat.deleted = deleted.then_some(true);
            }
            EventBody::Edit { target, text } => {
                flat.target = Some(*target);
                flat.text = text.as_deref();
            }
            EventBody::Delete { target } => flat.target = Some(*target),
            EventBody::React { target, emoji, on } => {
                flat.target = Some(*target);
                flat.emoji = Some(emoji);
                flat.on = Some(*on);
            }
            EventBody::Member {
                change,
                who,
                role,
                until,
                reason,
            } => {
                flat.change = Some(change.as_str());
                flat.who = Some(who);
                flat.role = role.as_deref();
                flat.until = *until;
                flat.reason = reason.as_deref();
            }
            EventBody::Room { change, value } => {
                flat.change = Some(change.as_str());
                flat.value = Some(value);
            }
            EventBody::Unknown => {}
        }
        flat
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::new(self).serialize(serializer)
    }
}

#[derive(Deserialize)]
struct Read {
    seq: u64,
    kind: Word,
    user: Person,
    at: u64,
    cid: Option<Arc<str>>,
    target: Option<u64>,
    text: Option<Arc<str>>,
    reply_to: Option<u64>,
    edited_at: Option<u64>,
    deleted: Option<bool>,
    emoji: Option<Arc<str>>,
    on: Option<bool>,
    change: Option<Word>,
    who: Option<Person>,
    role: Option<Arc<str>>,
    until: Option<u64>,
    reason: Option<Arc<str>>,
    value: Option<RoomValue>,
}

impl Read {
    fn into_event(self) -> Result<Event, &'static str> {
        let body = match self.kind {
            Word::Message => EventBody::Message {
                text: self.text.ok_or("a `message` lacks `text`")?,
                reply_to: self.reply_to,
                edited_at: self.edited_at,
                deleted: self.deleted.unwrap_or(false),
            },
            Word::Edit => EventBody::Edit {
                target: self.target.ok_or("an `edit` lacks `target`")?,
                text: self.text,
            },
            Word::Delete => EventBody::Delete {
                target: self.target.ok_or("a `delete` lacks `target`")?,
            },
            Word::React => EventBody::React {
                target: self.target.ok_or("a `react` lacks `target`")?,
                emoji: self.emoji.ok_or("a `react` lacks `emoji`")?,
                on: self.on.ok_or("a `react` lacks `on`")?,
            },
            Word::Member => match self.change.ok_or("a `member` lacks `change`")? {
                Word::MemberChange(change) => EventBody::Member {
                    change,
                    who: self.who.ok_or("a `member` lacks `who`")?,
                    role: self.role,
                    until: self.until,
                    reason: self.reason,
                },
                _ => EventBody::Unknown,
            },
            Word::Room => match self.change.ok_or("a `room` lacks `change`")? {
                Word::RoomChange(change) => EventBody::Room {
                    change,
                    value: self.value.ok_or("a `room` lacks `value`")?,
                },
                _ => EventBody::Unknown,
            },
            _ => EventBody::Unknown,
        };
        Ok(Event {
            seq: self.seq,
            user: self.user,
            at: self.at,
            cid: self.cid,
            body,
        })
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Read::deserialize(deserializer)?
            .into_event()
            .map_err(serde::de::Error::custom)
    }
}

/// A word of `kind` or `change`, read without a copy.
enum Word {
    Message,
    Edit,
    Delete,
    React,
    Member,
    Room,
    MemberChange(MemberChange),
    RoomChange(RoomChange),
    Unknown,
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WordVisitor)
    }
}

struct WordVisitor;

impl Visitor<'_> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word")
    }

    fn visit_str<E>(self, word: &str) -> Result<Word, E> {
        Ok(match word {
            "message" => Word::Message,
            "edit" => Word::Edit,
            "delete" => Word::Delete,
            "react" => Word::React,
            "member" => Word::Member,
            "room" => Word::Room,
            other => MemberChange::parse(other)
                .map(Word::MemberChange)
                .or_else(|| RoomChange::parse(other).map(Word::RoomChange))
                .unwrap_or(Word::Unknown),
        })
    }
}
