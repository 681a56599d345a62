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

macro_rules! close_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $reason:literal;)*) => {
        /// Why a connection ends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum CloseCode { $($(#[$doc])* $variant = $number,)* }

        impl CloseCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason that goes with the number, for people.
            pub fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason,)* }
            }

            /// The code of that number.
            pub fn from_u16(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

close_codes! {
    /// The connection did what it was for.
    Normal = 1000, "normal";
    /// The node goes away.
    GoingAway = 1001, "going away";
    /// A breach of RFC 6455.
    ProtocolError = 1002, "protocol error";
    /// A text frame that is not UTF-8.
    InvalidPayload = 1007, "invalid payload";
    /// A fault of the server.
    Internal = 1011, "internal error";
    /// The node restarts.
    Restarting = 1012, "restarting";
    /// The client took nothing for the write deadline.
    SlowConsumer = 4000, "slow consumer";
    /// No sign of life from the client.
    Idle = 4001, "no sign of life";
    /// No `hello` in time.
    HelloTimeout = 4002, "no hello in time";
    /// The `hello` could not be served now.
    Overloaded = 4003, "overloaded";
    /// The client was told to move, and stayed.
    Moved = 4004, "told to move";
    /// The `hello` carried no valid credential.
    Unauthenticated = 4100, "unauthenticated";
    /// Banned from the server.
    Banned = 4101, "banned";
    /// A frame was not decodable.
    BadFrame = 4102, "bad frame";
    /// A frame was above the limit.
    FrameTooLarge = 4103, "frame too large";
    /// The first frame was no `hello`.
    HelloExpected = 4104, "hello expected";
    /// Signed out, revoked or expired while connected.
    SessionEnded = 4105, "session ended";
}

impl CloseCode {
    /// The number in the close frame.
    pub fn as_u16(self) -> u16 {
        self as u16
    }

    /// Whether a client comes back, with backoff, and resumes: on 1001, 1011, 1012 and 4000–4099. On the others it does
    /// not, until something has changed.
    pub fn may_reconnect(self) -> bool {
        matches!(self.as_u16(), 1001 | 1011 | 1012 | 4000..=4099)
    }
}
