//! The wire's rules for a client's frame, at their edges: what closes a connection, what is refused, what is taken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use protocol::{
    Codec, Command, ErrorCode, JoinFrom, Page,
    client::{self, PageBound},
    fields::Fields,
    limits::MAX_SEQ,
};
use serde_json::{Value, json};

/// The same map in both codecs.
fn encodings(frame: &Value) -> [(Codec, Vec<u8>); 2] {
    Codec::ALL.map(|codec| (codec, codec.encode(frame).unwrap()))
}

fn decode(codec: Codec, bytes: &[u8]) -> Result<Command, client::Invalid> {
    let fields = Fields::decode(codec, bytes).expect("a decodable frame");
    client::frame_id(&fields)?;
    Command::from_fields(&fields)
}

fn taken(frame: &Value) -> Command {
    let [json, msgpack] = encodings(frame).map(|(codec, bytes)| {
        decode(codec, &bytes).unwrap_or_else(|error| panic!("{codec:?} {frame}: {error}"))
    });
    assert_eq!(json, msgpack);
    json
}

fn refused(frame: &Value, code: ErrorCode, field: &str) {
    for (codec, bytes) in encodings(frame) {
        match decode(codec, &bytes) {
            Ok(command) => panic!("{codec:?} {frame} is taken: {command:?}"),
            Err(invalid) => {
                assert_eq!(invalid.code, code, "{codec:?} {frame}");
                assert!(
                    invalid.message.contains(&format!("`{field}`")),
                    "{frame}: {invalid}"
                );
            }
        }
    }
}

/// `base` with `field` set to each of `values` is refused with `bad_request`.
fn each_refused(base: &Value, field: &str, values: &[Value]) {
    for value in values {
        let mut frame = base.clone();
        frame[field] = value.clone();
        refused(&frame, ErrorCode::BadRequest, field);
    }
}

fn each_taken(base: &Value, field: &str, values: &[Value]) {
    for value in values {
        let mut frame = base.clone();
        frame[field] = value.clone();
        taken(&frame);
    }
}

fn without(base: &Value, field: &str) -> Value {
    let mut frame = base.clone();
    frame.as_object_mut().unwrap().remove(field);
    frame
}

fn valid_commands() -> Vec<Value> {
    vec![
        json!({"op": "send", "room": "a", "cid": "c", "text": "t"}),
        json!({"op": "edit", "room": "a", "cid": "c", "seq": 1, "text": "t"}),
        json!({"op": "delete", "room": "a", "cid": "c", "seq": 1}),
        json!({"op": "react", "room": "a", "cid": "c", "seq": 1, "emoji": "+", "on": false}),
        json!({"op": "read", "room": "a", "seq": 1}),
        json!({"op": "join", "room": "a"}),
        json!({"op": "leave", "room": "a"}),
        json!({"op": "typing", "room": "a"}),
        json!({"op": "presence", "room": "a"}),
        json!({"op": "history", "room": "a"}),
        json!({"op": "ping"}),
        json!({"op": "hello"}),
    ]
}

#[test]
fn required_fields_may_be_neither_absent_nor_null_nor_of_another_type() {
    for command in valid_commands() {
        taken(&command);
        for field in command.as_object().unwrap().keys() {
            refused(&without(&command, field), ErrorCode::BadRequest, field);
            let wrong = [json!(null), json!([]), json!({}), json!(1.5), json!(-1)];
            each_refused(&command, field, &wrong);
            let other_type = if command[field].is_string() {
                json!(1)
            } else {
                json!("1")
            };
            each_refused(&command, field, &[other_type]);
        }
    }
}

#[test]
fn optional_fields_may_be_null_and_unknown_ones_are_ignored() {
    for mut command in valid_commands() {
        let expected = taken(&command);
        for field in [
            "id", "token", "guest", "resume", "epoch", "after", "before", "limit", "reply_to",
        ] {
            command[field] = Value::Null;
        }
        command["from the future"] = json!({"a": [1, {"b": -1.5}]});
        assert_eq!(taken(&command), expected);
    }
}

#[test]
fn an_id_is_a_u32() {
    let ping = json!({"op": "ping"});
    each_taken(&ping, "id", &[json!(0), json!(u32::MAX)]);
    let wrong = [
        json!(u64::from(u32::MAX) + 1),
        json!(-1),
        json!(1.5),
        json!("1"),
        json!(true),
        json!([]),
    ];
    each_refused(&ping, "id", &wrong);
}

#[test]
fn an_unknown_op_is_told_apart_from_a_missing_one() {
    refused(&json!({"op": "shout"}), ErrorCode::UnknownOp, "shout");
    refused(&json!({"op": "welcome"}), ErrorCode::UnknownOp, "welcome");
    refused(&json!({}), ErrorCode::BadRequest, "op");
    let long = "x".repeat(10_000);
    let bytes = Codec::Json.encode(&json!({"op": long})).unwrap();
    assert!(
        decode(Codec::Json, &bytes).unwrap_err().message.len() < 300,
        "the message is short"
    );
}

#[test]
fn numbers_hold_at_their_edges() {
    let seq_edges = [json!(0), json!(MAX_SEQ + 1), json!(u64::MAX)];
    for command in valid_commands().iter().filter(|c| c.get("seq").is_some()) {
        each_taken(command, "seq", &[json!(1), json!(MAX_SEQ)]);
        each_refused(command, "seq", &seq_edges);
    }
    let send = json!({"op": "send", "room": "a", "cid": "c", "text": "t"});
    each_taken(&send, "reply_to", &[json!(1), json!(MAX_SEQ)]);
    each_refused(&send, "reply_to", &seq_edges);

    let join = json!({"op": "join", "room": "a"});
    each_taken(&join, "limit", &[json!(0), json!(1000)]);
    each_refused(&join, "limit", &[json!(1001), json!(-1)]);
    each_taken(&join, "after", &[json!(0), json!(MAX_SEQ)]);
    each_refused(&join, "after", &[json!(MAX_SEQ + 1), json!(-1)]);

    let history = json!({"op": "history", "room": "a"});
    each_taken(&history, "limit", &[json!(1), json!(200)]);
    each_refused(&history, "limit", &[json!(0), json!(201)]);
    each_taken(&history, "after", &[json!(0), json!(MAX_SEQ)]);
    each_taken(&history, "before", &[json!(1), json!(MAX_SEQ)]);
    each_refused(&history, "before", &[json!(0)]);
}

#[test]
fn join_and_history_take_one_bound_and_have_defaults() {
    let from = |frame| match taken(&frame) {
        Command::Join { from, .. } => from,
        other => panic!("{other:?}"),
    };
    assert_eq!(from(json!({"op": "join", "room": "a"})), JoinFrom::Newest(50));
    assert_eq!(
        from(json!({"op": "join", "room": "a", "limit": 0})),
        JoinFrom::Newest(0)
    );
    assert_eq!(
        from(json!({"op": "join", "room": "a", "after": 0})),
        JoinFrom::After(0)
    );
    let both = json!({"op": "join", "room": "a", "after": 0, "limit": 1});
    refused(&both, ErrorCode::BadRequest, "after");

    let page = |frame| match taken(&frame) {
        Command::History { page, .. } => page,
        other => panic!("{other:?}"),
    };
    let newest = Page {
        bound: PageBound::Newest,
        limit: 50,
    };
    assert_eq!(page(json!({"op": "history", "room": "a"})), newest);
    let both = json!({"op": "history", "room": "a", "after": 0, "before": 2});
    refused(&both, ErrorCode::BadRequest, "after");
}

#[test]
fn texts_hold_at_their_edges() {
    let send = json!({"op": "send", "room": "a", "cid": "c", "text": "t"});
    let longest = "é".repeat(8 * 1024);
    each_taken(&send, "text", &[json!(longest), json!("\u{1}"), json!(" x ")]);
    each_refused(
        &send,
        "text",
        &[json!(""), json!(" \n\t\u{a0}\u{3000}\u{2028}"), json!("a\0b")],
    );
    for op in ["send", "edit"] {
        let frame = json!({"op": op, "room": "a", "cid": "c", "seq": 1, "text": format!("{longest}x")});
        refused(&frame, ErrorCode::TooLarge, "text");
    }

    each_taken(
        &send,
        "cid",
        &[json!("c".repeat(64)), json!("\u{7f}"), json!(" ")],
    );
    each_refused(
        &send,
        "cid",
        &[json!(""), json!("c".repeat(65)), json!("a\nb"), json!("\u{1f}")],
    );
    each_taken(&send, "room", &[json!("0"), json!("a".repeat(64)), json!("a_-9")]);
    let bad_rooms = [
        json!(""),
        json!("A"),
        json!("-a"),
        json!("_a"),
        json!("a b"),
        json!("ä"),
        json!("a".repeat(65)),
    ];
    each_refused(&send, "room", &bad_rooms);

    let react = json!({"op": "react", "room": "a", "cid": "c", "seq": 1, "emoji": "+", "on": true});
    each_taken(&react, "emoji", &[json!("🙂".repeat(8))]);
    each_refused(
        &react,
        "emoji",
        &[json!(""), json!("🙂".repeat(8) + "x"), json!("\t")],
    );

    let hello = json!({"op": "hello"});
    each_taken(&hello, "guest", &[json!("é".repeat(32)), json!("a")]);
    each_refused(
        &hello,
        "guest",
        &[json!(""), json!("é".repeat(33)), json!("a\u{0}"), json!(1)],
    );
    each_taken(&hello, "token", &[json!("t".repeat(8192))]);
    each_refused(&hello, "token", &[json!("t".repeat(8193)), json!(1)]);
    each_taken(&hello, "epoch", &[json!("e".repeat(64))]);
    each_refused(&hello, "epoch", &[json!("e".repeat(65)), json!(1)]);
}

#[test]
fn resume_keeps_names_as_sent_and_checks_positions() {
    let hello = |resume: Value| json!({"op": "hello", "resume": resume});
    match taken(&hello(json!({"a": 0, "No Such Name": MAX_SEQ}))) {
        Command::Hello(hello) => {
            let mut rooms = hello.resume.unwrap();
            rooms.sort();
            assert_eq!(rooms, [("No Such Name".to_owned(), MAX_SEQ), ("a".to_owned(), 0)]);
        }
        other => panic!("{other:?}"),
    }
    let many = |n: usize| Value::Object((0..n).map(|i| (format!("r{i}"), json!(i))).collect());
    taken(&hello(many(200)));
    refused(&hello(many(201)), ErrorCode::BadRequest, "resume");
    for bad in [
        json!({"a": -1}),
        json!({"a": 1.5}),
        json!({"a": "1"}),
        json!({"a": null}),
        json!(["a"]),
        json!("a"),
    ] {
        refused(&hello(bad), ErrorCode::BadRequest, "resume");
    }
}

#[test]
fn of_a_repeated_field_the_last_one_counts() {
    let frame = br#"{"op":"join","op":"ping","id":"x","id":3}"#;
    let fields = Fields::decode(Codec::Json, frame).unwrap();
    assert_eq!(client::frame_id(&fields), Ok(Some(3)));
    assert_eq!(Command::from_fields(&fields), Ok(Command::Ping));
}

/// `depth` levels, the frame's map being the first.
fn nested(depth: usize) -> Value {
    let mut value = json!(1);
    for level in 1..depth {
        value = if level % 2 == 0 {
            json!([value])
        } else {
            json!({"x": value})
        };
    }
    json!({"op": "ping", "x": value})
}

#[test]
fn sixteen_levels_are_decodable_and_seventeen_are_not() {
    assert_eq!(taken(&nested(16)), Command::Ping);
    for (codec, bytes) in encodings(&nested(17)) {
        assert!(Fields::decode(codec, &bytes).is_err(), "{codec:?}");
    }
    let very_deep = [b"{\"x\":".as_slice(), &b"[".repeat(30_000)].concat();
    assert!(Fields::decode(Codec::Json, &very_deep).is_err());
    let very_deep = [b"\x81\xa1x".as_slice(), &b"\x91".repeat(30_000)].concat();
    assert!(Fields::decode(Codec::Msgpack, &very_deep).is_err());
}

#[test]
fn what_is_not_one_map_is_undecodable() {
    let json: [&[u8]; 13] = [
        b"",
        b" ",
        b"1",
        b"null",
        b"\"op\"",
        b"[]",
        b"[{\"op\":\"ping\"}]",
        b"{\"op\":\"ping\"",
        b"{\"op\":\"ping\"}}",
        b"{\"op\":\"ping\"} {}",
        b"{\"op\":\"\\ud800\"}",
        b"{\"x\":NaN}",
        b"{'op':'ping'}",
    ];
    for bytes in json {
        assert!(
            Fields::decode(Codec::Json, bytes).is_err(),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    let msgpack: [&[u8]; 8] = [
        b"",
        b"\x01",
        b"\xc0",
        b"\xa2op",
        b"\x90",
        b"\xc1",
        b"\x82\xa2op\xa4ping",
        b"\x81\xa2op\xc1",
    ];
    for bytes in msgpack {
        assert!(Fields::decode(Codec::Msgpack, bytes).is_err(), "{bytes:x?}");
    }
    assert!(
        Fields::decode(Codec::Json, b" {\"op\":\"ping\"}\r\n\t ").is_ok(),
        "white space may surround it"
    );
}

#[test]
fn anything_behind_a_messagepack_map_is_undecodable() {
    for last in 0..=u8::MAX {
        let frame = [b"\x81\xa2op\xa4ping".as_slice(), &[last]].concat();
        assert!(Fields::decode(Codec::Msgpack, &frame).is_err(), "{last:#x}");
    }
}

#[test]
fn messagepack_types_that_json_lacks_are_refused_where_they_matter_and_ignored_elsewhere() {
    let bin = b"\xc4\x04ping".as_slice();
    let not_utf8 = b"\xa4\xff\xfe\xfd\xfc".as_slice();
    let ext: &[&[u8]] = &[
        b"\xd4\x05\x00",
        b"\xd5\x05\x00\x00",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xc7\x00\x01",
        b"\xc7\x02\x01ab",
        b"\xc8\x00\x01\x01a",
        b"\xc9\x00\x00\x00\x01\x01a",
    ];
    let numbers: &[&[u8]] = &[
        b"\xca\x3f\x80\x00\x00",
        b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00",
        b"\xd0\xff",
    ];
    for value in [bin, not_utf8]
        .into_iter()
        .chain(ext.iter().copied())
        .chain(numbers.iter().copied())
    {
        let op = [b"\x81\xa2op".as_slice(), value].concat();
        let invalid = decode(Codec::Msgpack, &op).unwrap_err();
        assert_eq!(invalid.code, ErrorCode::BadRequest, "{value:x?}");
        let ignored = [b"\x82\xa2op\xa4ping\xa1x".as_slice(), value].concat();
        assert_eq!(decode(Codec::Msgpack, &ignored), Ok(Command::Ping), "{value:x?}");
        let key = [b"\x82\xa2op\xa4ping".as_slice(), value, b"\xc0"].concat();
        let invalid = decode(Codec::Msgpack, &key).unwrap_err();
        assert_eq!(invalid.code, ErrorCode::BadRequest, "a key: {value:x?}");
    }
    // Wider than needed, and signed, are the same numbers.
    for id in [
        b"\xcf\0\0\0\0\0\0\0\x05".as_slice(),
        b"\xd3\0\0\0\0\0\0\0\x05",
        b"\xd0\x05",
        b"\xcd\0\x05",
    ] {
        let frame = [b"\x82\xa2op\xa4ping\xa2id".as_slice(), id].concat();
        let fields = Fields::decode(Codec::Msgpack, &frame).unwrap();
        assert_eq!(client::frame_id(&fields), Ok(Some(5)), "{id:x?}");
    }
}
