//! For any frame: what was written is what is read, in both codecs; and no bytes at all make a reader panic.
//!
//! A failure prints the shrunk frame and is kept in `properties.proptest-regressions`, which is then tried first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod samples;

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection, option, prelude::*, sample::select, test_runner::FileFailurePersistence};
use protocol::{
    ClientFrame, Codec, Command, ErrorCode, Event, EventBody, Hello, JoinFrom, MemberChange, NodeFrame,
    NodeMessage, Page, Person, RoomChange, RoomName, ServerFrame,
    client::{self, PageBound},
    event::RoomValue,
    fields::Fields,
    limits::MAX_SEQ,
    server::{Done, GoawayReason, Refused, Resumed, Welcome},
};

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn commands_survive(frame in client_frame()) {
        for codec in Codec::ALL {
            let bytes = codec.encode(&frame).unwrap();
            prop_assert_eq!(read_client(codec, &bytes), Some(frame.clone()));
        }
    }

    #[test]
    fn server_frames_survive(frame in server_frame()) {
        for codec in Codec::ALL {
            let bytes = codec.encode(&frame).unwrap();
            prop_assert_eq!(codec.decode::<ServerFrame>(&bytes).unwrap(), frame.clone());
        }
    }

    #[test]
    fn the_place_of_op_does_not_matter(frame in server_frame()) {
        // serde_json's map is ordered by key, so that `op` comes after `code`, `events`, `id` …
        let sorted: serde_json::Value = Codec::Json.decode(&Codec::Json.encode(&frame).unwrap()).unwrap();
        for codec in Codec::ALL {
            let bytes = codec.encode(&sorted).unwrap();
            prop_assert_eq!(codec.decode::<ServerFrame>(&bytes).unwrap(), frame.clone());
        }
    }

    #[test]
    fn node_frames_survive(frame in node_frame()) {
        prop_assert_eq!(&NodeFrame::decode(&frame.encode().unwrap()).unwrap(), &frame);
        for codec in Codec::ALL {
            let bytes = codec.encode(&frame).unwrap();
            prop_assert_eq!(codec.decode::<NodeFrame>(&bytes).unwrap(), frame.clone());
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in collection::vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
    }

    #[test]
    fn mutated_frames_do_no_harm(seed in any::<prop::sample::Index>(), cuts in collection::vec(mutation(), 1..6)) {
        let mut bytes = seed.get(&valid_frames()).clone();
        for (place, cut, insert) in cuts {
            let start = place.index(bytes.len() + 1);
            let end = (start + cut).min(bytes.len());
            bytes.splice(start..end, insert);
        }
        read_everything(&bytes);
    }
}

/// Reads with every reader; what one of them takes must be written and read again as the same.
fn read_everything(bytes: &[u8]) {
    for codec in Codec::ALL {
        if let Some(frame) = read_client(codec, bytes) {
            let again = codec.encode(&frame).unwrap();
            assert_eq!(read_client(codec, &again), Some(frame));
        }
        if let Ok(frame) = codec.decode::<ServerFrame>(bytes) {
            let again = codec.encode(&frame).unwrap();
            assert_eq!(codec.decode::<ServerFrame>(&again).unwrap(), frame);
        }
    }
    if let Ok(frame) = NodeFrame::decode(bytes) {
        assert_eq!(NodeFrame::decode(&frame.encode().unwrap()), Ok(frame));
    }
}

fn read_client(codec: Codec, bytes: &[u8]) -> Option<ClientFrame> {
    let fields = Fields::decode(codec, bytes).ok()?;
    let id = client::frame_id(&fields).ok()?;
    let command = Command::from_fields(&fields).ok()?;
    Some(ClientFrame { id, command })
}

fn valid_frames() -> Vec<Vec<u8>> {
    Codec::ALL
        .into_iter()
        .flat_map(|codec| {
            let client = samples::client()
                .into_iter()
                .map(move |(_, f)| codec.encode(&f).unwrap());
            let server = samples::server()
                .into_iter()
                .map(move |(_, f)| codec.encode(&f).unwrap());
            let node = samples::node()
                .into_iter()
                .map(move |(_, f)| codec.encode(&f).unwrap());
            client.chain(server).chain(node)
        })
        .collect()
}

fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    (
        any::<prop::sample::Index>(),
        0..4_usize,
        collection::vec(any::<u8>(), 0..4),
    )
}

fn room() -> impl Strategy<Value = RoomName> {
    "[a-z0-9][a-z0-9_-]{0,63}".prop_map(|name| RoomName::new(&name).unwrap())
}

/// 1 to 64 bytes without control characters.
fn label() -> impl Strategy<Value = Arc<str>> {
    "[ -~é🙂]{1,16}".prop_map(Into::into)
}

/// Something readable, any bytes but NUL around it.
fn text() -> impl Strategy<Value = Arc<str>> {
    "[^\0]{0,20}[!-~][^\0]{0,20}".prop_map(Into::into)
}

fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![1..300_u64, 1..=MAX_SEQ, Just(MAX_SEQ)]
}

fn id() -> impl Strategy<Value = Option<u32>> {
    option::of(any::<u32>())
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    (id(), command()).prop_map(|(id, command)| ClientFrame { id, command })
}

fn command() -> impl Strategy<Value = Command> {
    let from = prop_oneof![
        (0..=MAX_SEQ).prop_map(JoinFrom::After),
        (0..=1000_u64).prop_map(JoinFrom::Newest)
    ];
    let bound = prop_oneof![
        Just(PageBound::Newest),
        seq().prop_map(PageBound::Before),
        (0..=MAX_SEQ).prop_map(PageBound::After)
    ];
    let page = (bound, 1..=200_u64).prop_map(|(bound, limit)| Page { bound, limit });
    prop_oneof![
        hello().prop_map(Command::Hello),
        (room(), from).prop_map(|(room, from)| Command::Join { room, from }),
        room().prop_map(|room| Command::Leave { room }),
        (room(), label(), text(), option::of(seq())).prop_map(|(room, cid, text, reply_to)| Command::Send {
            room,
            cid,
            text,
            reply_to
        }),
        (room(), label(), seq(), text()).prop_map(|(room, cid, seq, text)| Command::Edit {
            room,
            cid,
            seq,
            text
        }),
        (room(), label(), seq()).prop_map(|(room, cid, seq)| Command::Delete { room, cid, seq }),
        (room(), label(), seq(), "[!-~🙂]{1,8}", any::<bool>()).prop_map(|(room, cid, seq, emoji, on)| {
            Command::React {
                room,
                cid,
                seq,
                emoji: emoji.into(),
                on,
            }
        }),
        (room(), page).prop_map(|(room, page)| Command::History { room, page }),
        (room(), seq()).prop_map(|(room, seq)| Command::Read { room, seq }),
        room().prop_map(|room| Command::Typing { room }),
        room().prop_map(|room| Command::Presence { room }),
        Just(Command::Ping),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    let resume =
        collection::btree_map(".{0,20}", 0..=MAX_SEQ, 0..5).prop_map(|map| map.into_iter().collect());
    (
        option::of(".{0,40}"),
        option::of(label()),
        option::of(resume),
        option::of(".{0,16}"),
    )
        .prop_map(|(token, guest, resume, epoch)| Hello {
            token,
            guest,
            resume,
            epoch,
        })
}

fn person() -> impl Strategy<Value = Person> {
    (label(), label()).prop_map(|(id, name)| Person { id, name })
}

fn people() -> impl Strategy<Value = Vec<Person>> {
    collection::vec(person(), 0..3)
}

fn event() -> impl Strategy<Value = Event> {
    (seq(), person(), any::<u64>(), option::of(label()), body()).prop_map(|(seq, user, at, cid, body)| {
        Event {
            seq,
            user,
            at,
            cid,
            body,
        }
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    collection::vec(event(), 0..4)
}

fn body() -> impl Strategy<Value = EventBody> {
    let value = prop_oneof![
        any::<bool>().prop_map(RoomValue::Switch),
        any::<u64>().prop_map(RoomValue::Number),
        text().prop_map(RoomValue::Text)
    ];
    prop_oneof![
        (text(), option::of(seq()), option::of(seq()), any::<bool>()).prop_map(
            |(text, reply_to, edited_at, deleted)| EventBody::Message {
                text,
                reply_to,
                edited_at,
                deleted
            }
        ),
        (seq(), option::of(text())).prop_map(|(target, text)| EventBody::Edit { target, text }),
        seq().prop_map(|target| EventBody::Delete { target }),
        (seq(), label(), any::<bool>()).prop_map(|(target, emoji, on)| EventBody::React {
            target,
            emoji,
            on
        }),
        (
            select(MemberChange::ALL),
            person(),
            option::of(label()),
            option::of(seq()),
            option::of(text())
        )
            .prop_map(|(change, who, role, until, reason)| EventBody::Member {
                change,
                who,
                role,
                until,
                reason
            }),
        (select(RoomChange::ALL), value).prop_map(|(change, value)| EventBody::Room { change, value }),
    ]
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    let reason = select(vec![GoawayReason::Drain, GoawayReason::Rebalance]);
    prop_oneof![
        welcome().prop_map(ServerFrame::Welcome),
        done().prop_map(ServerFrame::Ok),
        (id(), select(ErrorCode::ALL), ".{0,40}", option::of(any::<u64>())).prop_map(
            |(id, code, message, retry_after_ms)| {
                ServerFrame::Error(Refused {
                    id,
                    code,
                    message,
                    retry_after_ms,
                })
            }
        ),
        (id(), any::<u64>()).prop_map(|(id, time)| ServerFrame::Pong { id, time }),
        (room(), events()).prop_map(|(room, events)| ServerFrame::Events { room, events }),
        (room(), seq(), seq()).prop_map(|(room, from, to)| ServerFrame::Gap { room, from, to }),
        (room(), any::<u64>(), option::of(people()), option::of(people())).prop_map(
            |(room, count, joined, left)| ServerFrame::Presence {
                room,
                count,
                joined,
                left
            }
        ),
        (room(), person()).prop_map(|(room, user)| ServerFrame::Typing { room, user }),
        (room(), person(), seq()).prop_map(|(room, user, seq)| ServerFrame::Read { room, user, seq }),
        (any::<u64>(), reason).prop_map(|(after_ms, reason)| ServerFrame::Goaway { after_ms, reason }),
    ]
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let resumed = (any::<u64>(), label(), option::of(any::<bool>()))
        .prop_map(|(head, role, reset)| Resumed { head, role, reset });
    let names = (label(), label(), person(), label());
    let numbers = (id(), any::<u64>(), any::<u64>(), any::<u64>());
    let rooms = option::of(collection::btree_map(".{0,20}", resumed, 0..3));
    let refused = option::of(collection::btree_map(".{0,20}", select(ErrorCode::ALL), 0..3));
    (names, numbers, option::of(".{0,40}"), rooms, refused).prop_map(
        |((node, session, user, epoch), (id, heartbeat_ms, max_frame, time), token, rooms, refused)| {
            Welcome {
                id,
                node,
                session,
                user,
                token,
                epoch,
                heartbeat_ms,
                max_frame,
                time,
                rooms: rooms.map(BTreeMap::from_iter),
                refused: refused.map(BTreeMap::from_iter),
            }
        },
    )
}

fn done() -> impl Strategy<Value = Done> {
    let join = (
        room(),
        label(),
        any::<u64>(),
        label(),
        any::<u64>(),
        option::of(any::<bool>()),
    );
    prop_oneof![
        id().prop_map(Done::plain),
        (id(), seq(), any::<u64>()).prop_map(|(id, seq, at)| Done::committed(id, seq, at)),
        (id(), events(), any::<bool>()).prop_map(|(id, events, more)| Done::page(id, events, more)),
        (id(), any::<u64>(), people()).prop_map(|(id, count, users)| Done::presence(id, count, users)),
        (id(), join).prop_map(|(id, (room, title, head, role, members, reset))| Done {
            id,
            room: Some(room),
            title: Some(title),
            head: Some(head),
            role: Some(role),
            members: Some(members),
            reset,
            ..Done::default()
        }),
    ]
}

fn node_frame() -> impl Strategy<Value = NodeFrame> {
    let message = prop_oneof![
        (room(), events()).prop_map(|(room, events)| NodeMessage::Events { room, events }),
        (room(), person()).prop_map(|(room, user)| NodeMessage::Typing { room, user }),
        (room(), person(), seq()).prop_map(|(room, user, seq)| NodeMessage::Read { room, user, seq }),
        seq().prop_map(|version| NodeMessage::Accounts { version }),
        (room(), any::<u64>(), any::<u64>(), people(), any::<bool>()).prop_map(
            |(room, version, count, users, ask)| NodeMessage::Presence {
                room,
                version,
                count,
                users,
                ask,
            }
        ),
        (
            room(),
            any::<u64>(),
            any::<u64>(),
            people(),
            prop::collection::vec(label(), 0..4)
        )
            .prop_map(
                |(room, base, version, joined, left)| NodeMessage::PresenceChange {
                    room,
                    base,
                    version,
                    joined,
                    left,
                }
            ),
        (room(), label()).prop_map(|(room, of)| NodeMessage::PresenceAsk { room, of }),
    ];
    (label(), message).prop_map(|(node, message)| NodeFrame::new(node, message))
}
