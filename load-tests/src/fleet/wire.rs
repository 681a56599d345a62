//! What parent and players say to each other: MessagePack, each value behind its length where it goes between processes.

use serde::{Deserialize, Serialize};
use tokio_util::codec::LengthDelimitedCodec;

use crate::{
    measure::Sample,
    player::{Part, Setup, Standing},
};

/// The largest value, in bytes: a standing with very many rooms.
const LARGEST: usize = 256 << 20;

/// What a player is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Order {
    /// The first one, answered with `Begun`.
    Begin(Box<Setup>),
    /// Not answered.
    Play(Part),
    /// Not answered.
    Stop,
    /// Nothing is due any more. Not answered.
    Settle,
    /// Answered with `Sample`.
    Sample,
    /// Answered with `Standing`.
    Stand,
    /// Answered with `Left`, when all have left or the time is over.
    Finish { patience_ms: u64 },
}

/// What it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Answer {
    Begun,
    Sample(Box<Sample>),
    Standing(Standing),
    /// People that had not left.
    Left(u64),
    /// It could not do as it was told, and ends.
    Failed(String),
}

pub(super) fn framing() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(LARGEST)
        .new_codec()
}
