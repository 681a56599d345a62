//! Frames to commands, with the wire's rules for every field.

use std::sync::Arc;

use super::{
    CLIENT_OPS, Command, Hello, Invalid, JoinFrom, Page,
    check::{check_label, check_page, check_text, in_range, range_rule},
};
use crate::{
    ErrorCode, RoomName,
    fields::{Fields, Value},
    limits::{
        DEFAULT_JOIN_EVENTS, MAX_CID_BYTES, MAX_EMOJI_BYTES, MAX_HISTORY_EVENTS, MAX_ID_BYTES,
        MAX_NAME_BYTES, MAX_REPLAY_EVENTS, MAX_RESUME_ROOMS, MAX_SEQ, MAX_TOKEN_BYTES,
    },
    name::ROOM_NAME_RULE,
};

/// The `id` of a frame.
///
/// # Errors
/// When it is there and no u32: nothing of the frame may be done.
pub fn frame_id(fields: &Fields<'_>) -> Result<Option<u32>, Invalid> {
    match fields.get("id") {
        None => Ok(None),
        Some(Value::Uint(id)) => u32::try_from(*id)
            .map(Some)
            .map_err(|_| Invalid::field("id", ID_RULE)),
        Some(_) => Err(Invalid::field("id", ID_RULE)),
    }
}

const ID_RULE: &str = "must be an integer from 0 to 4294967295";

/// The `op` of a frame; `None` where there is none or it is no text.
pub fn frame_op<'f>(fields: &'f Fields<'_>) -> Option<&'f str> {
    match fields.get("op") {
        Some(Value::Str(op)) => Some(op),
        _ => None,
    }
}

impl Command {
    /// Reads the command out of a frame's fields.
    ///
    /// # Errors
    /// With `bad_request` and the field's name, `unknown_op`, or `too_large` for a text above the limit.
    pub fn from_fields(fields: &Fields<'_>) -> Result<Self, Invalid> {
        if fields.has_foreign_key() {
            return Err(Invalid {
                code: ErrorCode::BadRequest,
                message: "every key of a frame must be text".to_owned(),
            });
        }
        let op = frame_op(fields).ok_or_else(|| Invalid::field("op", "is missing or no text"))?;
        Ok(match op {
            "hello" => Self::Hello(hello(fields)?),
            "join" => Self::Join {
                room: room(fields)?,
                from: join_from(fields)?,
            },
            "leave" => Self::Leave { room: room(fields)? },
            "send" => Self::Send {
                room: room(fields)?,
                cid: cid(fields)?,
                text: message_text(fields)?,
                reply_to: optional_uint(fields, "reply_to", 1, MAX_SEQ)?,
            },
            "edit" => Self::Edit {
                room: room(fields)?,
                cid: cid(fields)?,
                seq: seq(fields)?,
                text: message_text(fields)?,
            },
            "delete" => Self::Delete {
                room: room(fields)?,
                cid: cid(fields)?,
                seq: seq(fields)?,
            },
            "react" => Self::React {
                room: room(fields)?,
                cid: cid(fields)?,
                seq: seq(fields)?,
                emoji: label(fields, "emoji", MAX_EMOJI_BYTES)?.into(),
                on: switch(fields, "on")?,
            },
            "history" => Self::History {
                room: room(fields)?,
                page: page(fields)?,
            },
            "read" => Self::Read {
                room: room(fields)?,
                seq: seq(fields)?,
            },
            "typing" => Self::Typing { room: room(fields)? },
            "presence" => Self::Presence { room: room(fields)? },
            "ping" => Self::Ping,
            other => {
                let shown: String = other.chars().take(32).collect();
                return Err(Invalid {
                    code: ErrorCode::UnknownOp,
                    message: format!("no such op: `{shown}`; there are {}", CLIENT_OPS.join(", ")),
                });
            }
        })
    }
}

/// A message as it is posted over HTTP: a `send` without its room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Makes it safe to repeat.
    pub cid: Arc<str>,
    /// What is said.
    pub text: Arc<str>,
    /// `seq` of the message that this one answers.
    pub reply_to: Option<u64>,
}

/// Reads a message out of the fields of a request's body, by the rules of `send`.
///
/// # Errors
/// With `bad_request` and the field's name, or `too_large`.
pub fn message(fields: &Fields<'_>) -> Result<Message, Invalid> {
    Ok(Message {
        cid: cid(fields)?,
        text: message_text(fields)?,
        reply_to: optional_uint(fields, "reply_to", 1, MAX_SEQ)?,
    })
}

fn hello(fields: &Fields<'_>) -> Result<Hello, Invalid> {
    let guest = optional_text(fields, "guest")?;
    if let Some(name) = guest {
        check_label("guest", name, MAX_NAME_BYTES)?;
    }
    Ok(Hello {
        token: bounded_text(fields, "token", MAX_TOKEN_BYTES)?.map(str::to_owned),
        guest: guest.map(Into::into),
        resume: resume(fields)?,
        epoch: bounded_text(fields, "epoch", MAX_ID_BYTES)?.map(str::to_owned),
    })
}

fn resume(fields: &Fields<'_>) -> Result<Option<Vec<(String, u64)>>, Invalid> {
    let entries = match fields.get("resume") {
        None => return Ok(None),
        Some(Value::Map(entries)) => entries,
        Some(_) => {
            return Err(Invalid::field(
                "resume",
                "must be a map of room names to the last `seq`",
            ));
        }
    };
    let mut rooms: Vec<(String, u64)> = Vec::with_capacity(entries.len().min(MAX_RESUME_ROOMS));
    for (room, position) in entries {
        let Value::Uint(position) = position else {
            return Err(Invalid::field(
                "resume",
                "every position must be an integer from 0",
            ));
        };
        let position = in_range("resume", *position, 0, MAX_SEQ)?;
        match rooms.iter_mut().find(|(known, _)| known == room) {
            Some(known) => known.1 = position,
            None => rooms.push((room.to_string(), position)),
        }
        if rooms.len() > MAX_RESUME_ROOMS {
            return Err(Invalid::field(
                "resume",
                format_args!("at most {MAX_RESUME_ROOMS} rooms"),
            ));
        }
    }
    Ok(Some(rooms))
}

fn join_from(fields: &Fields<'_>) -> Result<JoinFrom, Invalid> {
    let after = optional_uint(fields, "after", 0, MAX_SEQ)?;
    let limit = optional_uint(fields, "limit", 0, MAX_REPLAY_EVENTS)?;
    match (after, limit) {
        (Some(_), Some(_)) => Err(Invalid::field("after", "cannot be combined with `limit`")),
        (Some(after), None) => Ok(JoinFrom::After(after)),
        (None, limit) => Ok(JoinFrom::Newest(limit.unwrap_or(DEFAULT_JOIN_EVENTS))),
    }
}

fn page(fields: &Fields<'_>) -> Result<Page, Invalid> {
    let before = optional_uint(fields, "before", 1, MAX_SEQ)?;
    let after = optional_uint(fields, "after", 0, MAX_SEQ)?;
    let limit = optional_uint(fields, "limit", 1, MAX_HISTORY_EVENTS)?;
    check_page(before, after, limit)
}

fn room(fields: &Fields<'_>) -> Result<RoomName, Invalid> {
    RoomName::new(required_text(fields, "room")?)
        .map_err(|_| Invalid::field("room", format_args!("must be {ROOM_NAME_RULE}")))
}

fn cid(fields: &Fields<'_>) -> Result<Arc<str>, Invalid> {
    label(fields, "cid", MAX_CID_BYTES).map(Into::into)
}

fn message_text(fields: &Fields<'_>) -> Result<Arc<str>, Invalid> {
    let text = required_text(fields, "text")?;
    check_text(text)?;
    Ok(text.into())
}

fn label<'f>(fields: &'f Fields<'_>, name: &str, max: usize) -> Result<&'f str, Invalid> {
    let text = required_text(fields, name)?;
    check_label(name, text, max)?;
    Ok(text)
}

fn seq(fields: &Fields<'_>) -> Result<u64, Invalid> {
    optional_uint(fields, "seq", 1, MAX_SEQ)?.ok_or_else(|| Invalid::field("seq", "is missing"))
}

fn switch(fields: &Fields<'_>, name: &str) -> Result<bool, Invalid> {
    match fields.get(name) {
        Some(Value::Bool(on)) => Ok(*on),
        Some(_) => Err(Invalid::field(name, "must be true or false")),
        None => Err(Invalid::field(name, "is missing")),
    }
}

fn required_text<'f>(fields: &'f Fields<'_>, name: &str) -> Result<&'f str, Invalid> {
    optional_text(fields, name)?.ok_or_else(|| Invalid::field(name, "is missing"))
}

fn optional_text<'f>(fields: &'f Fields<'_>, name: &str) -> Result<Option<&'f str>, Invalid> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text)),
        Some(_) => Err(Invalid::field(name, "must be text")),
    }
}

fn bounded_text<'f>(fields: &'f Fields<'_>, name: &str, max: usize) -> Result<Option<&'f str>, Invalid> {
    let text = optional_text(fields, name)?;
    match text {
        Some(text) if text.len() > max => Err(Invalid::field(
            name,
            format_args!("at most {max} bytes, has {}", text.len()),
        )),
        text => Ok(text),
    }
}

fn optional_uint(fields: &Fields<'_>, name: &str, min: u64, max: u64) -> Result<Option<u64>, Invalid> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Uint(value)) => in_range(name, *value, min, max).map(Some),
        Some(_) => Err(Invalid::field(name, range_rule(min, max))),
    }
}
