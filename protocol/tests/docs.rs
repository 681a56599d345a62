//! `docs/protocol.md` against the code: every example is a frame that decodes, and everything there is is documented.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use protocol::{
    CloseCode, Codec, Command, ErrorCode, Event, EventBody, MemberChange, RoomChange, ServerFrame,
    client::{CLIENT_OPS, frame_id},
    fields::Fields,
    limits,
};
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/protocol.md");

/// The content of all fenced blocks with this info string.
fn blocks(info: &str) -> Vec<String> {
    let opening = format!("```{info}\n");
    let blocks = PAGE.split(&opening).skip(1);
    let blocks: Vec<String> = blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect();
    assert!(!blocks.is_empty(), "no block is marked `{info}`");
    blocks
}

fn client_command(codec: Codec, bytes: &[u8]) -> Command {
    let shown = String::from_utf8_lossy(bytes);
    let fields = Fields::decode(codec, bytes).unwrap_or_else(|e| panic!("{shown}: {e}"));
    frame_id(&fields).unwrap_or_else(|e| panic!("{shown}: {e}"));
    Command::from_fields(&fields).unwrap_or_else(|e| panic!("{shown}: {e}"))
}

fn server_examples() -> Vec<(String, ServerFrame)> {
    let read = |block: String| {
        let frame = Codec::Json.decode(block.as_bytes());
        let frame = frame.unwrap_or_else(|e| panic!("{block}: {e}"));
        (block, frame)
    };
    blocks("json server").into_iter().map(read).collect()
}

fn op(frame: &str) -> String {
    let frame: Value = serde_json::from_str(frame).unwrap();
    frame["op"].as_str().unwrap().to_owned()
}

#[test]
fn every_block_is_marked_with_who_says_it() {
    let fences = PAGE
        .lines()
        .filter(|line| line.starts_with("```") && *line != "```");
    for fence in fences {
        assert!(
            ["```json client", "```json server", "```msgpack client"].contains(&fence),
            "`{fence}` is checked by nobody"
        );
    }
}

#[test]
fn every_command_has_an_example_that_decodes() {
    let ops: BTreeSet<&str> = blocks("json client")
        .iter()
        .map(|block| client_command(Codec::Json, block.as_bytes()).op())
        .collect();
    assert_eq!(ops, BTreeSet::from(CLIENT_OPS));
}

#[test]
fn the_messagepack_example_is_the_first_json_example() {
    let hex = blocks("msgpack client").remove(0);
    let bytes: Vec<u8> = hex
        .split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let json = blocks("json client").remove(0);
    assert_eq!(
        client_command(Codec::Msgpack, &bytes),
        client_command(Codec::Json, json.as_bytes())
    );
}

#[test]
fn every_server_frame_has_an_example_that_decodes_and_has_no_other_fields() {
    let mut ops = BTreeSet::new();
    for (block, frame) in server_examples() {
        let written: Value = serde_json::to_value(&frame).unwrap();
        let shown: Value = serde_json::from_str(&block).unwrap();
        assert_eq!(written, shown, "read and written again, {block} is another frame");
        ops.insert(op(&block));
    }
    let known = [
        "error", "events", "gap", "goaway", "ok", "pong", "presence", "read", "typing", "welcome",
    ];
    assert_eq!(ops, BTreeSet::from(known.map(str::to_owned)));
}

#[test]
fn every_kind_of_event_has_an_example_and_seq_has_no_hole() {
    let mut kinds = BTreeSet::new();
    for (block, frame) in server_examples() {
        let events: Vec<Event> = match frame {
            ServerFrame::Events { events, .. } => events,
            ServerFrame::Ok(done) => done.events.unwrap_or_default(),
            _ => continue,
        };
        for pair in events.windows(2) {
            assert_eq!(pair[0].seq + 1, pair[1].seq, "{block}");
            assert!(pair[0].at <= pair[1].at, "{block}");
        }
        for event in events {
            assert_ne!(event.body, EventBody::Unknown, "{block}");
            kinds.insert(event.body.kind());
        }
    }
    assert_eq!(
        kinds,
        BTreeSet::from(["delete", "edit", "member", "message", "react", "room"])
    );
}

/// Whether a table of the page has a row that begins with `cell`.
fn has_row(cell: &str) -> bool {
    PAGE.lines().any(|line| line.starts_with(&format!("| {cell} |")))
}

#[test]
fn every_code_and_word_is_documented() {
    for code in ErrorCode::ALL {
        assert!(
            has_row(&format!("`{code}`")),
            "the error code `{code}` is not explained"
        );
        let status = format!("| {} | ", code.http_status());
        let with_status = |line: &str| line.starts_with(&status) && line.contains(&format!("`{code}`"));
        let only_on_the_socket = ["bad_frame", "unknown_op", "hello_expected", "not_joined"];
        assert_eq!(
            PAGE.lines().any(with_status),
            !only_on_the_socket.contains(&code.as_str()),
            "the HTTP status of `{code}`"
        );
    }
    for code in CloseCode::ALL.iter().filter(|code| **code != CloseCode::Normal) {
        assert!(
            has_row(&code.as_u16().to_string()),
            "close code {} is not explained",
            code.as_u16()
        );
    }
    let changes = MemberChange::ALL.iter().map(|change| change.as_str());
    for change in changes.chain(RoomChange::ALL.iter().map(|change| change.as_str())) {
        assert!(
            PAGE.contains(&format!("`{change}`")),
            "the change `{change}` is not documented"
        );
    }
    for codec in Codec::ALL {
        assert!(has_row(&format!("`{}`", codec.subprotocol())));
    }
}

#[test]
fn the_table_of_limits_has_the_numbers_of_the_code() {
    let table = PAGE.split("\n## Limits\n").nth(1).unwrap();
    let rows = [
        ("a client's frame", limits::MAX_FRAME_BYTES as u64),
        ("`text`", limits::MAX_TEXT_BYTES as u64),
        ("nesting of a frame", limits::MAX_DEPTH as u64),
        (
            "`cid`; a person's name; a room's name; an id",
            limits::MAX_CID_BYTES as u64,
        ),
        (
            "`cid`; a person's name; a room's name; an id",
            limits::MAX_NAME_BYTES as u64,
        ),
        (
            "`cid`; a person's name; a room's name; an id",
            limits::MAX_ROOM_NAME_BYTES as u64,
        ),
        (
            "`cid`; a person's name; a room's name; an id",
            limits::MAX_ID_BYTES as u64,
        ),
        ("`emoji`", limits::MAX_EMOJI_BYTES as u64),
        ("a credential", limits::MAX_TOKEN_BYTES as u64),
        ("rooms in `resume`", limits::MAX_RESUME_ROOMS as u64),
        (
            "`limit` of `join`, and events that are replayed before a `gap`",
            limits::MAX_REPLAY_EVENTS,
        ),
        ("`limit` of `history`", limits::MAX_HISTORY_EVENTS),
        (
            "events after `reset`, and of `join` and `history` without `limit`",
            limits::DEFAULT_JOIN_EVENTS,
        ),
        (
            "events after `reset`, and of `join` and `history` without `limit`",
            limits::DEFAULT_HISTORY_EVENTS,
        ),
        ("people named by `presence`", limits::MAX_PRESENCE_USERS as u64),
    ];
    for (what, limit) in rows {
        let row = table
            .lines()
            .find(|line| line.starts_with(&format!("| {what} |")));
        let row = row.unwrap_or_else(|| panic!("no row for {what}"));
        let digits: String = row
            .rsplit('|')
            .nth(1)
            .unwrap()
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        assert_eq!(digits, limit.to_string(), "{row}");
    }
    assert!(PAGE.contains(&limits::MAX_SEQ.to_string()));
}
