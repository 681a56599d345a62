//! The numbers of the wire. Lengths are bytes of UTF-8 unless a name says otherwise.

/// Largest client frame (and whole message, if fragmented), in bytes. Above it: `too_large`, close 4103.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Largest `text` of a message, in bytes. Above it: `too_large`, the connection lives.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Deepest nesting of a frame; the frame's own map is level 1. Deeper is undecodable.
pub const MAX_DEPTH: usize = 16;
/// Longest `cid`, in bytes.
pub const MAX_CID_BYTES: usize = 64;
/// Longest name of a person, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest room name, in bytes (they are ASCII).
pub const MAX_ROOM_NAME_BYTES: usize = 64;
/// Longest `emoji` of a reaction, in bytes.
pub const MAX_EMOJI_BYTES: usize = 32;
/// Longest opaque id (`epoch`, `node`, `session`, a person's id), in bytes.
pub const MAX_ID_BYTES: usize = 64;
/// Longest credential, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Largest `seq`: 2⁵³−1, what a JavaScript number holds exactly.
pub const MAX_SEQ: u64 = (1 << 53) - 1;
/// Most rooms that one `hello` may resume.
pub const MAX_RESUME_ROOMS: usize = 200;
/// Most events that `join`'s `limit` may ask for, and most that are replayed before a `gap`.
pub const MAX_REPLAY_EVENTS: u64 = 1_000;
/// Events that a `join` without `after` or `limit`, and a reset room, begin with.
pub const DEFAULT_JOIN_EVENTS: u64 = 50;
/// Largest page of `history`, in events.
pub const MAX_HISTORY_EVENTS: u64 = 200;
/// Page of `history` when no `limit` is given, in events.
pub const DEFAULT_HISTORY_EVENTS: u64 = 50;
/// Most people that an answer to `presence` names.
pub const MAX_PRESENCE_USERS: usize = 200;
/// Pause between two pings of the server, in milliseconds.
pub const HEARTBEAT_MS: u64 = 25_000;
