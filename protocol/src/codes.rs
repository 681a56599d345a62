//! The closed lists of error and close codes.

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// Why a command, a frame or an HTTP request was refused. A closed list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status that goes with the code.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

error_codes! {
    /// Not decodable as a frame; closes.
    BadFrame = "bad_frame", 400;
    /// A field is missing, of the wrong type or out of range; the message names it.
    BadRequest = "bad_request", 400;
    /// No such command.
    UnknownOp = "unknown_op", 400;
    /// A text or a frame is above its limit.
    TooLarge = "too_large", 413;
    /// Something else than `hello` came first; closes.
    HelloExpected = "hello_expected", 400;
    /// No credential, or one that is not valid here.
    Unauthenticated = "unauthenticated", 401;
    /// The role does not allow it.
    Forbidden = "forbidden", 403;
    /// Banned from this room, or from the server.
    Banned = "banned", 403;
    /// Muted in this room.
    Muted = "muted", 403;
    /// The room is not open on this connection.
    NotJoined = "not_joined", 409;
    /// No such room, message or reaction, or none that may be seen.
    NotFound = "not_found", 404;
    /// The room is archived.
    Archived = "archived", 409;
    /// It clashes with what is there already.
    Conflict = "conflict", 409;
    /// Too fast; try again after `retry_after_ms` with the same `cid`.
    RateLimited = "rate_limited", 429;
    /// No capacity at the moment; try again after `retry_after_ms` with the same `cid`.
    Overloaded = "overloaded", 503;
    /// A fault of the server; its log says which.
    Internal = "internal", 500;
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a connection ends. 4000–4099, 1001, 1011 and 1012: come back with backoff and resume; 4100–4199: do not, until
/// something has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The connection did what it was for.
    Normal = 1000,
    /// A breach of RFC 6455.
    ProtocolError = 1002,
    /// A text frame that is not UTF-8.
    InvalidPayload = 1007,
    /// A fault of the server.
    Internal = 1011,
    /// The node restarts.
    Restarting = 1012,
    /// The client took nothing for the write deadline.
    SlowConsumer = 4000,
    /// No sign of life from the client.
    Idle = 4001,
    /// No `hello` in time.
    HelloTimeout = 4002,
    /// The `hello` could not be served now.
    Overloaded = 4003,
    /// The client was told to move, and stayed.
    Moved = 4004,
    /// The `hello` carried no valid credential.
    Unauthenticated = 4100,
    /// Banned from the server.
    Banned = 4101,
    /// A frame was not decodable.
    BadFrame = 4102,
    /// A frame was above the limit.
    FrameTooLarge = 4103,
    /// The first frame was no `hello`.
    HelloExpected = 4104,
    /// Signed out, revoked or expired while connected.
    SessionEnded = 4105,
}

impl CloseCode {
    /// The number in the close frame.
    pub fn as_u16(self) -> u16 {
        self as u16
    }

    /// The reason that goes with the number, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ProtocolError => "protocol error",
            Self::InvalidPayload => "invalid payload",
            Self::Internal => "internal error",
            Self::Restarting => "restarting",
            Self::SlowConsumer => "slow consumer",
            Self::Idle => "no sign of life",
            Self::HelloTimeout => "no hello in time",
            Self::Overloaded => "overloaded",
            Self::Moved => "told to move",
            Self::Unauthenticated => "unauthenticated",
            Self::Banned => "banned",
            Self::BadFrame => "bad frame",
            Self::FrameTooLarge => "frame too large",
            Self::HelloExpected => "hello expected",
            Self::SessionEnded => "session ended",
        }
    }
}
