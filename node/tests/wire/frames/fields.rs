//! Every field of every command: missing, of a wrong type, out of range, too long.

use protocol::{
    Codec,
    limits::{MAX_SEQ, MAX_TOKEN_BYTES},
};
use serde_json::{Value, json};

use crate::support::{Node, with_both};

enum Rule {
    RoomName,
    /// Text of 1 to so many bytes without control characters.
    Label(usize),
    Text,
    /// An integer in this range.
    Integer(u64, u64),
    Bool,
}

struct Field {
    name: &'static str,
    required: bool,
    rule: Rule,
}

fn required(name: &'static str, rule: Rule) -> Field {
    Field {
        name,
        required: true,
        rule,
    }
}

fn optional(name: &'static str, rule: Rule) -> Field {
    Field {
        name,
        required: false,
        rule,
    }
}

/// Every command in a good form, and the rules of its fields.
fn commands() -> Vec<(Value, Vec<Field>)> {
    let room = || required("room", Rule::RoomName);
    let cid = || required("cid", Rule::Label(64));
    let seq = || required("seq", Rule::Integer(1, MAX_SEQ));
    vec![
        (
            json!({ "op": "join", "room": "fields" }),
            vec![
                room(),
                optional("after", Rule::Integer(0, MAX_SEQ)),
                optional("limit", Rule::Integer(0, 1_000)),
            ],
        ),
        (json!({ "op": "leave", "room": "fields" }), vec![room()]),
        (
            json!({ "op": "send", "room": "fields", "cid": "c", "text": "t" }),
            vec![
                room(),
                cid(),
                required("text", Rule::Text),
                optional("reply_to", Rule::Integer(1, MAX_SEQ)),
            ],
        ),
        (
            json!({ "op": "edit", "room": "fields", "cid": "c", "seq": 1, "text": "t" }),
            vec![room(), cid(), seq(), required("text", Rule::Text)],
        ),
        (
            json!({ "op": "delete", "room": "fields", "cid": "c", "seq": 1 }),
            vec![room(), cid(), seq()],
        ),
        (
            json!({ "op": "react", "room": "fields", "cid": "c", "seq": 1, "emoji": "+", "on": true }),
            vec![
                room(),
                cid(),
                seq(),
                required("emoji", Rule::Label(32)),
                required("on", Rule::Bool),
            ],
        ),
        (
            json!({ "op": "history", "room": "fields" }),
            vec![
                room(),
                optional("before", Rule::Integer(1, MAX_SEQ)),
                optional("after", Rule::Integer(0, MAX_SEQ)),
                optional("limit", Rule::Integer(1, 200)),
            ],
        ),
        (
            json!({ "op": "read", "room": "fields", "seq": 1 }),
            vec![room(), seq()],
        ),
        (json!({ "op": "typing", "room": "fields" }), vec![room()]),
        (json!({ "op": "presence", "room": "fields" }), vec![room()]),
    ]
}

fn wrong_values(rule: &Rule) -> Vec<Value> {
    let mut wrong = vec![json!([]), json!({}), json!([["x"]])];
    match rule {
        Rule::RoomName | Rule::Label(_) | Rule::Text => {
            wrong.extend([json!(1), json!(-1), json!(0.5), json!(true), json!("")]);
        }
        Rule::Integer(..) => wrong.extend([json!("1"), json!(true), json!(-1), json!(0.5), json!(1e300)]),
        Rule::Bool => wrong.extend([json!("true"), json!(1), json!(0)]),
    }
    match rule {
        Rule::RoomName => wrong.extend(
            [
                "Lobby",
                "lobby!",
                "-lobby",
                "_lobby",
                "lob by",
                "l\u{f6}bby",
                "lobby\n",
                "a/b",
                ".",
            ]
            .map(Value::from)
            .into_iter()
            .chain([Value::from("x".repeat(65))]),
        ),
        Rule::Label(most) => {
            wrong.push("x".repeat(most + 1).into());
            wrong.push("ü".repeat(most / 2 + 1).into());
            wrong.extend(["a\0", "\u{1f}", "a\nb", "\t"].map(Value::from));
        }
        Rule::Text => wrong.extend(
            [
                " ",
                "\n\t\r ",
                "\u{a0}\u{2003}\u{3000}",
                "a\0b",
                "\0",
                "\u{2028}\u{85}",
            ]
            .map(Value::from),
        ),
        Rule::Integer(least, most) => {
            wrong.push((most + 1).into());
            wrong.push(u64::MAX.into());
            if *least > 0 {
                wrong.push((least - 1).into());
            }
        }
        Rule::Bool => {}
    }
    wrong
}

#[tokio::test]
async fn every_field_of_every_command() {
    let node = &Node::with(&["limits.commands_per_second=0"]).await;
    with_both(|codec| async move {
        let mut raw = node.joined(codec, "Ada", "fields").await;
        for (command, fields) in commands() {
            for field in &fields {
                let mut wrong = wrong_values(&field.rule);
                if field.required {
                    wrong.push(Value::Null);
                    let mut without = command.clone();
                    without.as_object_mut().unwrap().remove(field.name);
                    let message = raw.refused(without, "bad_request").await;
                    assert!(message.contains(&format!("`{}`", field.name)), "{message}");
                }
                for value in wrong {
                    let mut with = command.clone();
                    with[field.name] = value;
                    let message = raw.refused(with.clone(), "bad_request").await;
                    assert!(
                        message.contains(&format!("`{}`", field.name)),
                        "{with}: `{}` is not named in: {message}",
                        field.name
                    );
                }
            }
        }
        raw.ok(json!({ "op": "presence", "room": "fields" })).await;
    })
    .await;
}

#[tokio::test]
async fn every_field_of_hello() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.open(codec).await;
        let long = "x".repeat(MAX_TOKEN_BYTES + 1);
        let long_name = "ü".repeat(33);
        for (field, values) in [
            (
                "guest",
                vec![
                    json!(""),
                    json!(7),
                    json!([]),
                    json!(long_name),
                    json!("a\nb"),
                    json!("\0"),
                ],
            ),
            ("token", vec![json!(7), json!({}), json!(long)]),
            ("epoch", vec![json!(7), json!("x".repeat(65))]),
            (
                "resume",
                vec![
                    json!("lobby"),
                    json!(7),
                    json!([]),
                    json!([["lobby", 1]]),
                    json!({ "lobby": "1" }),
                    json!({ "lobby": -1 }),
                    json!({ "lobby": 1.5 }),
                    json!({ "lobby": null }),
                    json!({ "lobby": MAX_SEQ + 1 }),
                    json!({ "lobby": 1, "other": true }),
                ],
            ),
        ] {
            for value in values {
                let mut hello = json!({ "op": "hello", "guest": "Ada" });
                hello[field] = value;
                let message = raw.refused(hello.clone(), "bad_request").await;
                assert!(message.contains(&format!("`{field}`")), "{hello}: {message}");
            }
        }
        raw.hello(json!({ "guest": "x".repeat(64) })).await;
    })
    .await;
}

/// The largest that is right, in each field.
#[tokio::test]
async fn values_at_the_limit_are_taken() {
    let node = &Node::start().await;
    with_both(|codec| async move {
        let mut raw = node.guest(codec, "Ada").await;
        let room = match codec {
            Codec::Json => "0_-".to_owned() + &"j".repeat(61),
            Codec::Msgpack => "z".repeat(64),
        };
        raw.ok(json!({ "op": "join", "room": room, "limit": 1_000 }))
            .await;
        raw.ok(json!({ "op": "send", "room": room, "cid": "ü".repeat(32), "text": " \u{1}x\n" }))
            .await;
        let sent = &raw.events(&room, 1).await[0];
        assert_eq!(sent["text"], " \u{1}x\n", "nothing is trimmed or changed");
        assert_eq!(sent["cid"], "ü".repeat(32));
        raw.ok(json!({
            "op": "react", "room": room, "cid": "2", "seq": 1, "emoji": "\u{1f469}".repeat(8), "on": true
        }))
        .await;
        raw.refused(
            json!({ "op": "delete", "room": room, "cid": "3", "seq": MAX_SEQ }),
            "not_found",
        )
        .await;
        raw.ok(json!({ "op": "history", "room": room, "before": MAX_SEQ, "limit": 200 }))
            .await;
        raw.ok(json!({ "op": "history", "room": room, "after": MAX_SEQ, "limit": 1 }))
            .await;
    })
    .await;
}

#[tokio::test]
async fn bytes_and_foreign_text_are_no_text() {
    let node = Node::start().await;
    let mut raw = node.joined(Codec::Msgpack, "Ada", "lobby").await;
    let map = |entries: &[(&[u8], &[u8])]| {
        let mut bytes = vec![0x80 | u8::try_from(entries.len()).unwrap()];
        for (key, value) in entries {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
        }
        bytes
    };
    let op = b"\xa2op";
    for (field, frame) in [
        ("op", map(&[(op, b"\xc4\x04ping")])),
        (
            "room",
            map(&[(op, b"\xa5leave"), (b"\xa4room", b"\xc4\x05lobby")]),
        ),
        ("room", map(&[(op, b"\xa5leave"), (b"\xa4room", b"\xa5lobb\xff")])),
        ("room", map(&[(op, b"\xa5leave"), (b"\xa4room", b"\xd4\x01x")])),
        ("id", map(&[(op, b"\xa4ping"), (b"\xa2id", b"\xc4\x01\x01")])),
        (
            "limit",
            map(&[
                (op, b"\xa4join"),
                (b"\xa4room", b"\xa5lobby"),
                (b"\xa5limit", b"\xcb\x3f\xf0\0\0\0\0\0\0"),
            ]),
        ),
    ] {
        raw.payload(&frame).await;
        let error = raw.error("bad_request").await;
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{field}`")), "{message}");
    }
    // An integer may have any width, an unknown field any type.
    let wide = map(&[
        (op, b"\xa4ping"),
        (b"\xa2id", b"\xcf\0\0\0\0\0\0\0\x05"),
        (b"\xa1x", b"\xc7\x01\x05x"),
        (b"\xa1y", b"\xc4\x01x"),
    ]);
    raw.payload(&wide).await;
    assert_eq!(raw.next().await["id"], 5);
    let signed = map(&[(op, b"\xa4ping"), (b"\xa2id", b"\xd3\0\0\0\0\0\0\0\x06")]);
    raw.payload(&signed).await;
    assert_eq!(raw.next().await["id"], 6);
}
