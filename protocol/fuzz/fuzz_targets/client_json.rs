//! A node reads a client's frame: JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{ClientFrame, Codec, Command, client::frame_id, fields::Fields};

fuzz_target!(|bytes: &[u8]| {
    if let Some(frame) = read(bytes) {
        let again = Codec::Json.encode(&frame).expect("a frame that can be written");
        assert_eq!(read(&again), Some(frame));
    }
});

fn read(bytes: &[u8]) -> Option<ClientFrame> {
    let fields = Fields::decode(Codec::Json, bytes).ok()?;
    let id = frame_id(&fields);
    let command = Command::from_fields(&fields);
    Some(ClientFrame {
        id: id.ok()?,
        command: command.ok()?,
    })
}
