//! What is no frame, too much of one, or no WebSocket.

use protocol::{Codec, limits::MAX_FRAME_BYTES};
use serde_json::{Value, json};

use crate::support::{
    Incoming, Node, Raw,
    raw::{BINARY, CLOSE, PING, PONG, TEXT, frame},
    with_both,
};

/// A `ping` nested so that the deepest map or array is at `level`.
fn nested(level: usize) -> Value {
    let inner = (1..level).fold(json!(0), |inner, depth| match depth % 2 {
        0 => json!([inner]),
        _ => json!({ "x": inner }),
    });
    json!({ "op": "ping", "id": 7, "x": inner })
}

fn undecodable(codec: Codec) -> Vec<(&'static str, Vec<u8>)> {
    match codec {
        Codec::Json => vec![
            ("nothing", b"".to_vec()),
            ("not JSON", b"{\"op\":\"ping\"".to_vec()),
            ("a bare word", b"ping".to_vec()),
            ("a trailing comma", b"{\"op\":\"ping\",}".to_vec()),
            ("an array", b"[{\"op\":\"ping\"}]".to_vec()),
            ("text", b"\"ping\"".to_vec()),
            ("null", b"null".to_vec()),
            ("a second map", b"{\"op\":\"ping\"}{\"op\":\"ping\"}".to_vec()),
            ("something behind it", b"{\"op\":\"ping\"} x".to_vec()),
            ("a key that is no text", b"{\"op\":\"ping\",1:2}".to_vec()),
            ("17 levels", serde_json::to_vec(&nested(17)).unwrap()),
            ("100 levels", serde_json::to_vec(&nested(100)).unwrap()),
            ("30000 arrays", "[".repeat(30_000).into_bytes()),
            ("a lone surrogate", br#"{"op":"ping","x":"\ud800"}"#.to_vec()),
        ],
        Codec::Msgpack => {
            let ping = rmp_serde::to_vec(&json!({ "op": "ping" })).unwrap();
            vec![
                ("nothing", vec![]),
                ("a reserved marker", vec![0xc1]),
                ("a map cut short", ping[..ping.len() - 1].to_vec()),
                ("a map without its entries", vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
                ("an array", [&[0x91], &*ping].concat()),
                ("text", b"\xa4ping".to_vec()),
                ("nil", vec![0xc0]),
                ("an integer", vec![0x07]),
                ("a second map", [&*ping, &ping].concat()),
                ("a nil behind it", [&*ping, &[0xc0]].concat()),
                ("a reserved marker behind it", [&*ping, &[0xc1]].concat()),
                ("17 levels", rmp_serde::to_vec(&nested(17)).unwrap()),
                ("30000 arrays", [0x91].repeat(30_000)),
                ("JSON", b"{\"op\":\"ping\"}".to_vec()),
            ]
        }
    }
}

#[tokio::test]
async fn undecodable_frames_close() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        for (what, payload) in undecodable(codec) {
            eprintln!("{what}");
            let mut raw = node.guest(codec, "Ada").await;
            raw.payload(&payload).await;
            let error = raw.error("bad_frame").await;
            assert_eq!(error.get("id"), None, "{error}");
            raw.closed(4102).await;
        }
        // Before `welcome` no less.
        let mut raw = node.open(codec).await;
        raw.payload(b"\xc1").await;
        match codec {
            Codec::Json => raw.closed(1007).await,
            Codec::Msgpack => {
                raw.error("bad_frame").await;
                raw.closed(4102).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_other_kind_of_frame_closes() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        for welcomed in [false, true] {
            let mut raw = node.open(codec).await;
            if welcomed {
                raw.hello(json!({ "guest": "Ada" })).await;
            }
            let (other, payload) = match codec {
                Codec::Json => (BINARY, rmp_serde::to_vec(&json!({ "op": "ping" })).unwrap()),
                Codec::Msgpack => (TEXT, br#"{"op":"ping"}"#.to_vec()),
            };
            raw.frame(true, other, &payload).await;
            raw.error("bad_frame").await;
            raw.closed(4102).await;
        }
    })
    .await;
}

#[tokio::test]
async fn sixteen_levels_are_a_frame() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.guest(codec, "Ada").await;
        raw.say(&nested(16)).await;
        let pong = raw.next().await;
        assert_eq!((&pong["op"], &pong["id"]), (&json!("pong"), &json!(7)), "{pong}");
    })
    .await;
}

/// A `ping` of exactly so many bytes.
fn padded(raw: &Raw, bytes: usize) -> Vec<u8> {
    let with = |length: usize| raw.encode(&json!({ "op": "ping", "id": 9, "x": "x".repeat(length) }));
    let around = with(60_000).len() - 60_000;
    let payload = with(bytes - around);
    assert_eq!(payload.len(), bytes);
    payload
}

#[tokio::test]
async fn a_frame_has_at_most_64_kib() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.open(codec).await;
        let welcome = raw.hello(json!({ "guest": "Ada" })).await;
        assert_eq!(welcome["max_frame"], MAX_FRAME_BYTES);
        let whole = padded(&raw, MAX_FRAME_BYTES);
        raw.payload(&whole).await;
        assert_eq!(raw.next().await["op"], "pong");
        // In fragments, with a ping in between as RFC 6455 allows.
        raw.frame(false, raw.opcode(), &whole[..1]).await;
        raw.frame(false, 0, &whole[1..40_000]).await;
        raw.frame(true, PING, b"between").await;
        raw.frame(true, 0, &whole[40_000..]).await;
        // The two answers may overtake one another.
        let answers = [raw.read().await, raw.read().await];
        assert!(
            answers.contains(&Incoming::Pong(b"between".to_vec())),
            "{answers:?}"
        );
        let is_answer = |a: &Incoming| matches!(a, Incoming::Data(frame) if frame["op"] == "pong");
        assert!(answers.iter().any(is_answer), "{answers:?}");

        let above = padded(&raw, MAX_FRAME_BYTES + 1);
        raw.payload(&above).await;
        raw.error("too_large").await;
        raw.closed(4103).await;
    })
    .await;
}

#[tokio::test]
async fn fragments_count_together() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        for before_welcome in [false, true] {
            let mut raw = node.open(codec).await;
            if !before_welcome {
                raw.hello(json!({ "guest": "Ada" })).await;
            }
            let above = padded(&raw, MAX_FRAME_BYTES + 1);
            raw.frame(false, raw.opcode(), &above[..30_000]).await;
            raw.frame(false, 0, &above[30_000..60_000]).await;
            raw.frame(true, 0, &above[60_000..]).await;
            raw.error("too_large").await;
            raw.closed(4103).await;
        }
        // It is known from the header alone; nothing has to be sent.
        let mut raw = node.guest(codec, "Ada").await;
        let header = [0x80 | raw.opcode(), 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
        raw.bytes(&header).await;
        raw.error("too_large").await;
        raw.closed(4103).await;
    })
    .await;
}

#[tokio::test]
async fn breaches_of_the_web_socket_protocol_have_its_own_codes() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let opcode = if codec == Codec::Json { TEXT } else { BINARY };
        let unmasked = vec![0x80 | opcode, 2, b'{', b'}'];
        let breaches = [
            ("no mask", unmasked),
            ("a reserved bit", {
                let mut bytes = frame(true, opcode, b"{}");
                bytes[0] |= 0x40;
                bytes
            }),
            ("a reserved opcode", frame(true, 0x3, b"{}")),
            ("a reserved control opcode", frame(true, 0xb, b"")),
            ("a continuation of nothing", frame(true, 0, b"{}")),
            ("a new message within another", {
                [frame(false, opcode, b"{"), frame(true, opcode, b"}")].concat()
            }),
            ("a fragmented ping", frame(false, PING, b"")),
            ("a ping of 126 bytes", frame(true, PING, &[0; 126])),
            ("a close code of one byte", frame(true, CLOSE, &[3])),
            (
                "a close code that none may send",
                frame(true, CLOSE, &1005_u16.to_be_bytes()),
            ),
        ];
        for (what, bytes) in breaches {
            eprintln!("{what}");
            let mut raw = node.guest(codec, "Ada").await;
            raw.bytes(&bytes).await;
            raw.closed(1002).await;
        }
    })
    .await;
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_1007() {
    let node = Node::start().await;
    for bytes in [
        frame(true, TEXT, b"{\"op\":\"ping\",\"x\":\"\xff\"}"),
        [frame(false, TEXT, b"{\"op\":\"\xc3"), frame(true, 0, b"\x28\"}")].concat(),
        [frame(true, CLOSE, b"\x03\xe8\xff")].concat(),
    ] {
        let mut raw = node.guest(Codec::Json, "Ada").await;
        raw.bytes(&bytes).await;
        raw.closed(1007).await;
    }
    // A character may lie across fragments.
    let mut raw = node.guest(Codec::Json, "Ada").await;
    let text = r#"{"op":"ping","x":"ü"}"#.as_bytes();
    let within = text.iter().position(|byte| *byte == 0xc3).unwrap() + 1;
    raw.frame(false, TEXT, &text[..within]).await;
    raw.frame(true, 0, &text[within..]).await;
    assert_eq!(raw.next().await["op"], "pong");
}

#[tokio::test]
async fn a_ping_is_answered_and_a_close_is_echoed() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        for welcomed in [false, true] {
            for (payload, code) in [
                (&b"\x03\xe8bye"[..], Some(1000)),
                (b"\x0f\xa1", Some(4001)),
                (b"", None),
            ] {
                let mut raw = node.open(codec).await;
                if welcomed {
                    raw.hello(json!({ "guest": "Ada" })).await;
                }
                raw.frame(true, PING, b"there?").await;
                assert_eq!(raw.read().await, Incoming::Pong(b"there?".to_vec()));
                raw.frame(true, PONG, b"unasked").await;
                raw.frame(true, CLOSE, payload).await;
                match raw.read().await {
                    Incoming::Close { code: echoed, .. } => assert_eq!(echoed, code),
                    other => panic!("an echo is due, and there was {other:?}"),
                }
                assert_eq!(raw.read().await, Incoming::End);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.guest(codec, "Ada").await;
        let ping = raw.encode(&json!({ "op": "ping", "id": 1 }));
        for byte in frame(true, raw.opcode(), &ping) {
            raw.bytes(&[byte]).await;
        }
        assert_eq!(raw.next().await["op"], "pong");
    })
    .await;
}
