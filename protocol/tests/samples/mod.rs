//! One value of every variant of every frame, with and without what is optional, by the name of its golden files.
//!
//! A name is the frame's `op` (for node frames the message), or that, a dot and what is special about the sample.

use std::{collections::BTreeMap, sync::Arc};

use protocol::{
    ClientFrame, Command, ErrorCode, Event, EventBody, Hello, JoinFrom, MemberChange, NodeFrame, NodeMessage,
    Page, Person, RoomChange, RoomName, ServerFrame,
    client::PageBound,
    event::RoomValue,
    server::{Done, GoawayReason, Refused, Resumed, Welcome},
};

pub(crate) fn room() -> RoomName {
    RoomName::new("lobby").unwrap()
}

fn ada() -> Person {
    Person {
        id: "u_ada".into(),
        name: "Ada".into(),
    }
}

fn bob() -> Person {
    Person {
        id: "g_7".into(),
        name: "Bob \"β\"".into(),
    }
}

pub(crate) fn client() -> Vec<(String, ClientFrame)> {
    let with_id = |name: &str, command| (name.to_owned(), ClientFrame { id: Some(7), command });
    let without_id = |name: &str, command| (name.to_owned(), ClientFrame { id: None, command });
    let send = |text: &str, reply_to| Command::Send {
        room: room(),
        cid: "c-1".into(),
        text: text.into(),
        reply_to,
    };
    let history = |bound, limit| Command::History {
        room: room(),
        page: Page { bound, limit },
    };
    let join = |from| Command::Join { room: room(), from };
    vec![
        without_id("hello", Command::Hello(Hello::default())),
        with_id(
            "hello.guest",
            Command::Hello(Hello {
                guest: Some("Ada".into()),
                ..Hello::default()
            }),
        ),
        with_id(
            "hello.resume",
            Command::Hello(Hello {
                token: Some("t.0123456789abcdef".into()),
                guest: None,
                resume: Some(vec![("lobby".into(), 41), ("no such name!".into(), 0)]),
                epoch: Some("e1".into()),
            }),
        ),
        with_id("join", join(JoinFrom::Newest(50))),
        with_id("join.after", join(JoinFrom::After(41))),
        without_id("leave", Command::Leave { room: room() }),
        with_id("send", send("hello, world", None)),
        without_id("send.reply", send("two lines\nand “ünïcödé” 🙂", Some(41))),
        with_id(
            "edit",
            Command::Edit {
                room: room(),
                cid: "c-2".into(),
                seq: 41,
                text: "hello, all".into(),
            },
        ),
        with_id(
            "delete",
            Command::Delete {
                room: room(),
                cid: "c-3".into(),
                seq: 41,
            },
        ),
        with_id(
            "react",
            Command::React {
                room: room(),
                cid: "c-4".into(),
                seq: 41,
                emoji: "👍".into(),
                on: true,
            },
        ),
        with_id("history", history(PageBound::Newest, 50)),
        with_id("history.before", history(PageBound::Before(42), 200)),
        with_id("history.after", history(PageBound::After(0), 1)),
        with_id(
            "read",
            Command::Read {
                room: room(),
                seq: 42,
            },
        ),
        without_id("typing", Command::Typing { room: room() }),
        with_id("presence", Command::Presence { room: room() }),
        with_id("ping", Command::Ping),
    ]
}

pub(crate) fn server() -> Vec<(String, ServerFrame)> {
    let mut frames: Vec<(String, ServerFrame)> = [
        ("welcome", ServerFrame::Welcome(welcome())),
        (
            "welcome.resumed",
            ServerFrame::Welcome(Welcome {
                id: Some(7),
                token: Some("t.0123456789abcdef".into()),
                rooms: Some(BTreeMap::from([
                    ("den".to_owned(), resumed(None)),
                    ("lobby".to_owned(), resumed(Some(true))),
                ])),
                refused: Some(BTreeMap::from([("Attic".to_owned(), ErrorCode::BadRequest)])),
                ..welcome()
            }),
        ),
        ("ok", ServerFrame::Ok(Done::plain(Some(7)))),
        ("ok.join", ServerFrame::Ok(joined(None))),
        ("ok.join-reset", ServerFrame::Ok(joined(Some(true)))),
        ("ok.committed", ServerFrame::Ok(Done::committed(Some(7), 42, AT))),
        (
            "ok.history",
            ServerFrame::Ok(Done::page(Some(7), vec![message(41), message(42)], true)),
        ),
        (
            "ok.presence",
            ServerFrame::Ok(Done::presence(Some(7), 2, vec![ada(), bob()])),
        ),
        (
            "error",
            ServerFrame::Error(Refused {
                id: None,
                code: ErrorCode::BadFrame,
                message: "not one JSON map".into(),
                retry_after_ms: None,
            }),
        ),
        (
            "error.retry",
            ServerFrame::Error(Refused {
                id: Some(7),
                code: ErrorCode::RateLimited,
                message: "too fast".into(),
                retry_after_ms: Some(250),
            }),
        ),
        ("pong", ServerFrame::Pong { id: None, time: AT }),
        (
            "pong.id",
            ServerFrame::Pong {
                id: Some(7),
                time: AT,
            },
        ),
        (
            "gap",
            ServerFrame::Gap {
                room: room(),
                from: 43,
                to: 1043,
            },
        ),
        (
            "presence",
            ServerFrame::Presence {
                room: room(),
                count: 2,
                joined: Some(vec![ada()]),
                left: Some(vec![bob()]),
            },
        ),
        (
            "presence.count",
            ServerFrame::Presence {
                room: room(),
                count: 5000,
                joined: None,
                left: None,
            },
        ),
        (
            "typing",
            ServerFrame::Typing {
                room: room(),
                user: bob(),
            },
        ),
        (
            "read",
            ServerFrame::Read {
                room: room(),
                user: bob(),
                seq: 42,
            },
        ),
        ("goaway", goaway(GoawayReason::Drain)),
        ("goaway.rebalance", goaway(GoawayReason::Rebalance)),
    ]
    .map(|(name, frame)| (name.to_owned(), frame))
    .into();
    frames.extend(bodies().into_iter().map(|(name, body)| {
        let events = vec![event(42, body)];
        (
            format!("events.{name}"),
            ServerFrame::Events { room: room(), events },
        )
    }));
    let events = vec![
        message(43),
        Event {
            cid: None,
            ..message(44)
        },
    ];
    frames.push(("events".to_owned(), ServerFrame::Events { room: room(), events }));
    frames
}

pub(crate) fn node() -> Vec<(String, NodeFrame)> {
    let events = bodies().into_iter().zip(42..);
    [
        (
            "events",
            NodeMessage::Events {
                room: room(),
                events: events.map(|((_, body), seq)| event(seq, body)).collect(),
            },
        ),
        (
            "typing",
            NodeMessage::Typing {
                room: room(),
                user: bob(),
            },
        ),
        (
            "read",
            NodeMessage::Read {
                room: room(),
                user: bob(),
                seq: 42,
            },
        ),
        (
            "presence",
            NodeMessage::Presence {
                room: room(),
                version: 41,
                count: 2,
                users: vec![ada(), bob()],
                ask: false,
            },
        ),
        (
            "presence.ask",
            NodeMessage::Presence {
                room: room(),
                version: 41,
                count: 0,
                users: vec![],
                ask: true,
            },
        ),
        (
            "presence.change",
            NodeMessage::PresenceChange {
                room: room(),
                base: 41,
                version: 42,
                joined: vec![ada()],
                left: vec!["u_bob".into()],
            },
        ),
        (
            "presence.ask-one",
            NodeMessage::PresenceAsk {
                room: room(),
                of: "n2".into(),
            },
        ),
        ("accounts", NodeMessage::Accounts { version: 7 }),
    ]
    .map(|(name, message)| (name.to_owned(), NodeFrame::new("n1".into(), message)))
    .into()
}

const AT: u64 = 1_700_000_000_000;

fn welcome() -> Welcome {
    Welcome {
        id: None,
        node: "n1".into(),
        session: "s1".into(),
        user: ada(),
        token: None,
        epoch: "e1".into(),
        heartbeat_ms: 25_000,
        max_frame: 65_536,
        time: AT,
        rooms: None,
        refused: None,
    }
}

fn resumed(reset: Option<bool>) -> Resumed {
    Resumed {
        head: 42,
        role: "member".into(),
        reset,
    }
}

fn joined(reset: Option<bool>) -> Done {
    Done {
        id: Some(7),
        room: Some(room()),
        title: Some("The lobby".into()),
        head: Some(42),
        role: Some("guest".into()),
        members: Some(2),
        reset,
        ..Done::default()
    }
}

fn goaway(reason: GoawayReason) -> ServerFrame {
    ServerFrame::Goaway {
        after_ms: 1500,
        reason,
    }
}

fn message(seq: u64) -> Event {
    let body = EventBody::Message {
        text: "hello, world".into(),
        reply_to: None,
        edited_at: None,
        deleted: false,
    };
    event(seq, body)
}

fn event(seq: u64, body: EventBody) -> Event {
    Event {
        seq,
        user: ada(),
        at: AT + seq,
        cid: Some(format!("c-{seq}").into()),
        body,
    }
}

fn bodies() -> Vec<(String, EventBody)> {
    let text = |text: &str| -> Arc<str> { text.into() };
    let mut bodies: Vec<(String, EventBody)> = [
        (
            "message",
            EventBody::Message {
                text: text("two lines\nand “ünïcödé” 🙂"),
                reply_to: Some(41),
                edited_at: Some(AT + 60_000),
                deleted: false,
            },
        ),
        (
            "message-deleted",
            EventBody::Message {
                text: text(""),
                reply_to: None,
                edited_at: None,
                deleted: true,
            },
        ),
        (
            "edit",
            EventBody::Edit {
                target: 41,
                text: Some(text("hello, all")),
            },
        ),
        (
            "edit-superseded",
            EventBody::Edit {
                target: 41,
                text: None,
            },
        ),
        ("delete", EventBody::Delete { target: 41 }),
        (
            "react",
            EventBody::React {
                target: 41,
                emoji: text("👍"),
                on: true,
            },
        ),
        (
            "react-off",
            EventBody::React {
                target: 41,
                emoji: text("👍"),
                on: false,
            },
        ),
        (
            "member",
            EventBody::Member {
                change: MemberChange::Banned,
                who: bob(),
                role: Some(text("member")),
                until: Some(AT + 3_600_000),
                reason: Some(text("spam")),
            },
        ),
    ]
    .map(|(name, body)| (name.to_owned(), body))
    .into();
    bodies.extend(MemberChange::ALL.iter().map(|change| {
        let body = EventBody::Member {
            change: *change,
            who: bob(),
            role: None,
            until: None,
            reason: None,
        };
        (format!("member-{}", change.as_str()), body)
    }));
    bodies.extend(RoomChange::ALL.iter().map(|change| {
        let value = match change {
            RoomChange::Title => RoomValue::Text("The lobby".into()),
            RoomChange::Topic => RoomValue::Text("".into()),
            RoomChange::Visibility => RoomValue::Text("private".into()),
            RoomChange::Archived => RoomValue::Switch(true),
            RoomChange::SlowMode => RoomValue::Number(30),
        };
        let body = EventBody::Room {
            change: *change,
            value,
        };
        (format!("room-{}", change.as_str()), body)
    }));
    bodies
}
