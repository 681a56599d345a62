//! Frames that many clients of one process are sent alike are decoded once.
//!
//! A node encodes a batch of events once and sends the same bytes to everybody in the room. Decoding them anew for each
//! client would cost more than all the rest that a client does. What is remembered is used only for bytes that are equal,
//! every one of them.

use std::{
    cell::RefCell,
    hash::{Hash, Hasher},
    sync::Arc,
};

use protocol::{Codec, ServerFrame};
use rustc_hash::FxHasher;

/// Frames that are remembered by each thread; a later one takes the place of an earlier one with the same hash.
const SLOTS: usize = 256;
/// Larger frames are rare, and are not remembered.
const LARGEST: usize = 16 * 1024;
/// How frames of events begin, as a node writes them.
const JSON: &[u8] = br#"{"op":"events""#;
const MSGPACK: &[u8] = b"\xa2op\xa6events";

thread_local! {
    static MEMO: RefCell<Vec<Option<Known>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone)]
struct Known {
    codec: Codec,
    bytes: Box<[u8]>,
    frame: Arc<ServerFrame>,
}

/// Decodes a frame, or finds that the same bytes were decoded before.
///
/// # Errors
/// As [`Codec::decode`].
pub(super) fn decode(codec: Codec, bytes: &[u8]) -> Result<Arc<ServerFrame>, protocol::codec::DecodeError> {
    let many_get_it = match codec {
        Codec::Json => bytes.starts_with(JSON),
        // Behind the one byte of a small map.
        Codec::Msgpack => bytes.get(1..).is_some_and(|rest| rest.starts_with(MSGPACK)),
    };
    if !many_get_it || bytes.len() > LARGEST {
        return codec.decode(bytes).map(Arc::new);
    }
    let slot = slot(bytes);
    let known = MEMO.with_borrow(|memo| {
        let known = memo.get(slot)?.as_ref()?;
        (known.codec == codec && *known.bytes == *bytes).then(|| Arc::clone(&known.frame))
    });
    if let Some(frame) = known {
        return Ok(frame);
    }
    let frame = Arc::new(codec.decode::<ServerFrame>(bytes)?);
    MEMO.with_borrow_mut(|memo| {
        memo.resize(SLOTS, None);
        memo[slot] = Some(Known {
            codec,
            bytes: bytes.into(),
            frame: Arc::clone(&frame),
        });
    });
    Ok(frame)
}

#[allow(clippy::cast_possible_truncation, reason = "a hash")]
fn slot(bytes: &[u8]) -> usize {
    let mut hasher = FxHasher::default();
    bytes.hash(&mut hasher);
    hasher.finish() as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, text: &str) -> serde_json::Value {
        serde_json::json!({
            "seq": seq, "kind": "message", "user": {"id": "u", "name": "Ada"}, "at": 1, "text": text,
        })
    }

    #[test]
    fn only_the_same_bytes_are_the_same_frame() {
        let bytes = |text: &str| {
            let events = format!(
                r#"{{"op":"events","room":"lobby","events":[{}]}}"#,
                event(1, text)
            );
            events.into_bytes()
        };
        let one = decode(Codec::Json, &bytes("one")).unwrap();
        assert!(Arc::ptr_eq(&one, &decode(Codec::Json, &bytes("one")).unwrap()));
        for number in 0..2000 {
            let text = format!("{number}");
            let fresh: ServerFrame = Codec::Json.decode(&bytes(&text)).unwrap();
            for _ in 0..2 {
                assert_eq!(*decode(Codec::Json, &bytes(&text)).unwrap(), fresh);
            }
        }
        assert!(decode(Codec::Json, br#"{"op":"events","room":"lobby""#).is_err());
        assert!(decode(Codec::Json, br#"{"op":"events","room":"lobby""#).is_err());
    }

    #[test]
    fn both_codecs_are_remembered_and_not_mixed_up() {
        let frame: ServerFrame = Codec::Json
            .decode(format!(r#"{{"op":"events","room":"lobby","events":[{}]}}"#, event(7, "x")).as_bytes())
            .unwrap();
        for codec in Codec::ALL {
            let bytes = codec.encode(&frame).unwrap();
            let first = decode(codec, &bytes).unwrap();
            assert_eq!(*first, frame);
            assert!(Arc::ptr_eq(&first, &decode(codec, &bytes).unwrap()), "{codec:?}");
        }
    }
}
