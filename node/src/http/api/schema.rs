//! What the document of the API says about values: their form and limits, taken from the constants that they are checked
//! against. Types with fields stand for those of the protocol, whose crate knows nothing of documents; they are never made.

#![allow(dead_code, reason = "they stand for other types, and are never made")]

use protocol::{
    ErrorCode,
    limits::{
        MAX_CID_BYTES, MAX_EMOJI_BYTES, MAX_HISTORY_EVENTS, MAX_ID_BYTES, MAX_NAME_BYTES,
        MAX_ROOM_NAME_BYTES, MAX_SEQ, MAX_TEXT_BYTES,
    },
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{Object, Type},
    },
};

/// No NUL.
const NO_NUL: &str = r"^[^\u0000]*$";
/// No control characters of ASCII.
const NO_C0: &str = r"^[^\u0000-\u001f]*$";
/// No control characters at all.
const NO_CONTROLS: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// Text of a length in bytes, without control characters of ASCII.
pub(super) struct Label<const MIN: usize, const MAX: usize>;
/// Text of a length in bytes, without any control characters.
pub(super) struct Short<const MIN: usize, const MAX: usize>;
/// Text of a length in bytes, of any characters but NUL.
pub(super) struct Free<const MIN: usize, const MAX: usize>;
/// What a credential is good for.
pub(super) struct Scope;
/// An integer within bounds.
pub(super) struct Whole<const MIN: u64, const MAX: u64>;
/// A room's name.
pub(super) struct RoomName;
/// A message's text.
pub(super) struct Text;

pub(super) type Id = Short<1, MAX_ID_BYTES>;
pub(super) type Cid = Label<1, MAX_CID_BYTES>;
pub(super) type Emoji = Label<1, MAX_EMOJI_BYTES>;
pub(super) type Name = Short<1, MAX_NAME_BYTES>;
pub(super) type Seq = Whole<1, MAX_SEQ>;
/// 0 and above.
pub(super) type Number = Whole<0, MAX_SEQ>;
pub(super) type EventLimit = Whole<1, MAX_HISTORY_EVENTS>;

/// What byte-limited text has as its `format`.
pub(super) fn utf8(max: usize) -> String {
    format!("utf8-{max}")
}

fn text(min: usize, max: usize, pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(min))
        .max_length(Some(max))
        .pattern(Some(pattern))
        .format(Some(SchemaFormat::Custom(utf8(max))))
}

/// An integer, as an object's or an error's field has it.
pub(super) fn whole(min: u64, max: u64) -> Object {
    let bound = |value| usize::try_from(value).unwrap_or(usize::MAX);
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(bound(min)))
        .maximum(Some(bound(max)))
        .build()
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Label<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        text(MIN, MAX, NO_C0).into()
    }
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Short<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        text(MIN, MAX, NO_CONTROLS).into()
    }
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Free<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        text(MIN, MAX, NO_NUL).into()
    }
}

impl PartialSchema for Scope {
    fn schema() -> RefOr<Schema> {
        words(actors::Scopes::ALL.names().into_iter())
    }
}

impl<const MIN: u64, const MAX: u64> PartialSchema for Whole<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        whole(MIN, MAX).into()
    }
}

impl PartialSchema for RoomName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_ROOM_NAME_BYTES))
            .pattern(Some(format!(
                "^[a-z0-9][a-z0-9_-]{{0,{}}}$",
                MAX_ROOM_NAME_BYTES - 1
            )))
            .into()
    }
}

impl PartialSchema for Text {
    fn schema() -> RefOr<Schema> {
        text(1, MAX_TEXT_BYTES, NO_NUL)
            .description(Some("Not only white space."))
            .into()
    }
}

// Those without a name of their own stand where they are used.
impl<const MIN: usize, const MAX: usize> ToSchema for Label<MIN, MAX> {}
impl<const MIN: usize, const MAX: usize> ToSchema for Short<MIN, MAX> {}
impl<const MIN: u64, const MAX: u64> ToSchema for Whole<MIN, MAX> {}
impl<const MIN: usize, const MAX: usize> ToSchema for Free<MIN, MAX> {}
impl ToSchema for Scope {}
impl ToSchema for RoomName {}
impl ToSchema for Text {}

/// Who did something: an opaque id that never changes and the name of then.
#[derive(ToSchema)]
pub(super) struct Person {
    #[schema(inline)]
    id: Id,
    name: String,
}

/// An entry of a room's log, in its present state.
#[derive(ToSchema)]
pub(super) struct Event {
    /// Place in the room's order, from 1, without a hole.
    seq: u64,
    user: Person,
    /// Unix milliseconds; never goes back along `seq`.
    at: u64,
    /// As the command carried it; absent on what no command asked for.
    #[schema(nullable = false)]
    cid: Option<String>,
    #[serde(flatten)]
    body: EventBody,
}

/// What happened.
#[derive(ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum EventBody {
    /// A deleted one has `""` as its text, and `deleted`.
    Message {
        text: String,
        #[schema(nullable = false)]
        reply_to: Option<u64>,
        #[schema(nullable = false)]
        edited_at: Option<u64>,
        #[schema(nullable = false)]
        deleted: Option<bool>,
    },
    /// Without `text` once that is no longer the present one.
    Edit {
        target: u64,
        #[schema(nullable = false)]
        text: Option<String>,
    },
    Delete {
        target: u64,
    },
    React {
        target: u64,
        emoji: String,
        on: bool,
    },
    Member {
        change: MemberChange,
        who: Person,
        #[schema(nullable = false)]
        role: Option<String>,
        #[schema(nullable = false)]
        until: Option<u64>,
        #[schema(nullable = false)]
        reason: Option<String>,
    },
    Room {
        change: RoomChange,
        value: RoomValue,
    },
}

/// A text, a switch or a number.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum RoomValue {
    Text(String),
    Switch(bool),
    Number(u64),
}

/// What became of a membership.
pub(super) struct MemberChange;
/// What changed about a room.
pub(super) struct RoomChange;

fn words(words: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .into()
}

impl PartialSchema for MemberChange {
    fn schema() -> RefOr<Schema> {
        words(protocol::MemberChange::ALL.iter().map(|change| change.as_str()))
    }
}

impl ToSchema for MemberChange {}

impl PartialSchema for RoomChange {
    fn schema() -> RefOr<Schema> {
        words(protocol::RoomChange::ALL.iter().map(|change| change.as_str()))
    }
}

impl ToSchema for RoomChange {}

/// The codes that HTTP answers of a status carry.
pub(super) fn codes(status: u16) -> Vec<&'static str> {
    // These are about frames and connections.
    let elsewhere = [
        ErrorCode::BadFrame,
        ErrorCode::UnknownOp,
        ErrorCode::HelloExpected,
        ErrorCode::NotJoined,
    ];
    ErrorCode::ALL
        .iter()
        .filter(|code| code.http_status() == status && !elsewhere.contains(code))
        .map(|code| code.as_str())
        .collect()
}
