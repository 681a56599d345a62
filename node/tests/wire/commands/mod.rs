//! Commands and the events that come of them.

mod changes;
mod history;
mod join;
mod nodes;
mod people;
mod repeats;
mod send;

use protocol::Codec;

/// Settings under which a test may write and ask as fast as it can.
const FAST: &[&str] = &[
    "limits.sends_per_second_per_user=0",
    "limits.commands_per_second=0",
];

/// A room of its own for each codec.
fn room_for(codec: Codec) -> String {
    codec.subprotocol().replace('.', "-")
}
