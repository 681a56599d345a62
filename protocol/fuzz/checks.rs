//! What holds for any bytes: no reader panics, and what one takes is written and read again as the same value. The fuzz
//! targets make bytes up; `tests/corpus.rs` goes through those that are kept (`kept`).

use protocol::{ClientFrame, Codec, Command, NodeFrame, ServerFrame, client::frame_id, fields::Fields};

/// A node reads a client's frame: JSON.
pub(crate) fn client_json(bytes: &[u8]) {
    client(Codec::Json, bytes);
}

/// A node reads a client's frame: MessagePack.
pub(crate) fn client_msgpack(bytes: &[u8]) {
    client(Codec::Msgpack, bytes);
}

/// A client reads a node's frame, in both codecs.
pub(crate) fn server_frame(bytes: &[u8]) {
    for codec in Codec::ALL {
        if let Ok(frame) = codec.decode::<ServerFrame>(bytes) {
            let again = codec.encode(&frame).expect("a frame that can be written");
            let reread: ServerFrame = codec.decode(&again).expect("a frame that can be read again");
            assert_eq!(reread, frame);
        }
    }
}

/// A node reads another node's frame.
pub(crate) fn node_frame(bytes: &[u8]) {
    if let Ok(frame) = NodeFrame::decode(bytes) {
        let again = frame.encode().expect("a frame that can be written");
        assert_eq!(NodeFrame::decode(&again), Ok(frame));
    }
}

fn client(codec: Codec, bytes: &[u8]) {
    if let Some(frame) = read(codec, bytes) {
        let again = codec.encode(&frame).expect("a frame that can be written");
        assert_eq!(read(codec, &again), Some(frame));
    }
}

fn read(codec: Codec, bytes: &[u8]) -> Option<ClientFrame> {
    let fields = Fields::decode(codec, bytes).ok()?;
    let id = frame_id(&fields);
    let command = Command::from_fields(&fields);
    Some(ClientFrame {
        id: id.ok()?,
        command: command.ok()?,
    })
}
