use protocol::{Codec, ErrorCode, JoinFrom, RoomName, ServerFrame};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{
    Client, Error, Options,
    order::{Order, Violation},
    tiny_server::{self, Fault},
};

async fn options(fault: Fault) -> Options {
    let address = tiny_server::start(fault).await;
    Options::new(&format!("ws://{address}/ws")).guest("Ada")
}

fn room() -> RoomName {
    "lobby".parse().unwrap()
}

#[tokio::test]
async fn two_clients_talk_in_either_codec() {
    let options = options(Fault::None).await;
    for (ada_codec, bob_codec) in [(Codec::Json, Codec::Msgpack), (Codec::Msgpack, Codec::Json)] {
        let mut ada = Client::connect(&options.clone().codec(ada_codec)).await.unwrap();
        let mut bob = Client::connect(&options.clone().codec(bob_codec)).await.unwrap();
        assert_eq!(ada.subprotocol(), Some(ada_codec.subprotocol()));
        assert!(ada.welcome().unwrap().token.is_some());
        ada.join(&room(), JoinFrom::Newest(0)).await.unwrap();
        bob.join(&room(), JoinFrom::Newest(50)).await.unwrap();
        let sent = bob.say(&room(), "hi").await.unwrap();
        let events = ada.take_events(&room(), 1).await.unwrap();
        assert_eq!(
            (events[0].seq, &events[0].user),
            (sent.seq, &bob.welcome().unwrap().user)
        );
        assert_eq!(ada.positions(), [("lobby".to_owned(), sent.seq)]);
    }
}

#[tokio::test]
async fn answers_find_their_commands_and_other_frames_are_kept() {
    let mut ada = Client::connect(&options(Fault::None).await).await.unwrap();
    ada.join(&room(), JoinFrom::Newest(50)).await.unwrap();
    ada.say(&room(), "one").await.unwrap();
    assert_eq!(ada.ping().await.unwrap(), 1);
    let typing = ada.typing(&room()).await.unwrap_err();
    assert_eq!(typing.refused().unwrap().code, ErrorCode::Forbidden);
    assert!(matches!(ada.next().await.unwrap(), ServerFrame::Events { .. }));
    ada.leave(&room()).await.unwrap();
    assert!(ada.positions().is_empty());
}

#[tokio::test]
async fn bad_input_can_be_sent_and_the_end_is_observed() {
    let mut ada = Client::connect(&options(Fault::Hangup).await).await.unwrap();
    ada.send_value(&json!({"op": "no such op", "id": 1_000}))
        .await
        .unwrap();
    let refused = ada.wait_for("the refusal", |frame| match frame {
        ServerFrame::Error(refused) => Some(refused.clone()),
        _ => None,
    });
    assert_eq!(refused.await.unwrap().code, ErrorCode::UnknownOp);
    ada.send_message(Message::text(r#"{"op":"send","room":"a","cid":"c","text":"t"}"#))
        .await
        .unwrap();
    assert_eq!(ada.wait_closed().await.unwrap().code, Some(1011));
    match ada.ping().await {
        Err(Error::Closed(closed)) => assert_eq!(closed.reason, "internal error"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_upgrade_tells_its_status() {
    let options = options(Fault::None).await.origin("https://elsewhere.example");
    match Client::open(&options).await.map(drop) {
        Err(Error::Upgrade(refused)) => assert_eq!(refused.status, 403),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repeated_event_is_an_error() {
    let mut ada = Client::connect(&options(Fault::Repeat).await).await.unwrap();
    ada.join(&room(), JoinFrom::Newest(50)).await.unwrap();
    for _ in 0..9 {
        ada.say(&room(), "x").await.unwrap();
    }
    ada.post(protocol::Command::Send {
        room: room(),
        cid: "last".into(),
        text: "x".into(),
        reply_to: None,
    })
    .await
    .unwrap();
    match ada.wait_closed().await {
        Err(Error::Order(Violation::Sequence {
            expected: 11,
            got: 10,
            ..
        })) => {}
        other => panic!("{other:?}"),
    }
}

mod order {
    use protocol::{
        ClientFrame, Command, Event, EventBody, Hello, Person,
        server::{Done, Resumed, Welcome},
    };

    use super::*;

    fn events(seqs: impl IntoIterator<Item = u64>) -> ServerFrame {
        let person = Person {
            id: "u".into(),
            name: "U".into(),
        };
        let event = |seq| Event {
            seq,
            user: person.clone(),
            at: 100,
            cid: None,
            body: EventBody::Delete { target: 1 },
        };
        ServerFrame::Events {
            room: room(),
            events: seqs.into_iter().map(event).collect(),
        }
    }

    fn gap(from: u64, to: u64) -> ServerFrame {
        ServerFrame::Gap {
            room: room(),
            from,
            to,
        }
    }

    fn joined(from: JoinFrom, head: u64, reset: bool) -> Order {
        let mut order = Order::default();
        join(&mut order, from, head, reset);
        order
    }

    fn join(order: &mut Order, from: JoinFrom, head: u64, reset: bool) {
        order.sent(ClientFrame {
            id: Some(1),
            command: Command::Join { room: room(), from },
        });
        let done = Done {
            id: Some(1),
            head: Some(head),
            reset: reset.then_some(true),
            ..Done::default()
        };
        order.received(&ServerFrame::Ok(done)).unwrap();
    }

    fn breaks(mut order: Order, frame: &ServerFrame) -> bool {
        order.received(frame).is_err()
    }

    #[test]
    fn events_begin_where_the_answer_to_join_says() {
        assert!(
            joined(JoinFrom::After(7), 9, false)
                .received(&events([8, 9, 10]))
                .is_ok()
        );
        assert!(
            joined(JoinFrom::Newest(2), 9, false)
                .received(&events([8, 9]))
                .is_ok()
        );
        assert!(
            joined(JoinFrom::Newest(50), 9, false)
                .received(&events(1..=9))
                .is_ok()
        );
        assert!(
            joined(JoinFrom::Newest(0), 9, false)
                .received(&events([10]))
                .is_ok()
        );
        assert!(
            joined(JoinFrom::After(700), 90, true)
                .received(&events(41..=90))
                .is_ok()
        );
        assert!(breaks(joined(JoinFrom::After(7), 9, false), &events([9])));
        assert!(breaks(joined(JoinFrom::After(7), 9, false), &events([7, 8])));
        assert!(breaks(joined(JoinFrom::Newest(2), 9, false), &events(1..=9)));
    }

    #[test]
    fn holes_repeats_and_empty_frames_are_violations() {
        for bad in [
            events([1, 3]),
            events([1, 1]),
            events([2, 1]),
            events([]),
            gap(1, 0),
            gap(2, 5),
        ] {
            assert!(breaks(joined(JoinFrom::After(0), 0, false), &bad), "{bad:?}");
        }
    }

    #[test]
    fn a_gap_counts_as_read() {
        let mut order = joined(JoinFrom::After(0), 3000, false);
        order.received(&gap(1, 2000)).unwrap();
        order.received(&events(2001..=3000)).unwrap();
        assert_eq!(order.positions(), [("lobby".to_owned(), 3000)]);
        assert!(breaks(order, &gap(3000, 3001)));
    }

    #[test]
    fn time_does_not_go_back() {
        let mut order = joined(JoinFrom::After(0), 0, false);
        order.received(&events([1])).unwrap();
        let ServerFrame::Events { room, mut events } = events([2]) else {
            unreachable!()
        };
        events[0].at = 99;
        let violation = order.received(&ServerFrame::Events { room, events });
        assert!(
            matches!(violation, Err(Violation::Time { seq: 2, .. })),
            "{violation:?}"
        );
    }

    #[test]
    fn nothing_comes_of_a_room_that_is_not_open() {
        assert!(breaks(Order::default(), &events([1])));
        let mut order = joined(JoinFrom::After(0), 0, false);
        order.sent(ClientFrame {
            id: Some(2),
            command: Command::Leave { room: room() },
        });
        order.received(&events([1])).unwrap();
        order.received(&ServerFrame::Ok(Done::plain(Some(2)))).unwrap();
        assert!(breaks(order, &events([2])));
    }

    #[test]
    fn joining_again_starts_anew() {
        let mut order = joined(JoinFrom::After(0), 2, false);
        order.received(&events([1, 2])).unwrap();
        join(&mut order, JoinFrom::After(0), 2, false);
        order.received(&events([1, 2, 3])).unwrap();
    }

    #[test]
    fn the_welcome_says_once_what_became_of_each_room() {
        let resume = |rooms: &[&str], refused: &[&str]| {
            let mut order = Order::default();
            let hello = Hello {
                resume: Some(vec![("lobby".into(), 5)]),
                ..Hello::default()
            };
            order.sent(ClientFrame {
                id: Some(0),
                command: Command::Hello(hello),
            });
            let resumed = |name: &&str| {
                (
                    (*name).to_owned(),
                    Resumed {
                        head: 5,
                        role: "member".into(),
                        reset: None,
                    },
                )
            };
            let welcome = Welcome {
                id: Some(0),
                node: "n".into(),
                session: "s".into(),
                user: Person {
                    id: "u".into(),
                    name: "U".into(),
                },
                token: None,
                epoch: "e".into(),
                heartbeat_ms: 1,
                max_frame: 1,
                time: 1,
                rooms: Some(rooms.iter().map(resumed).collect()),
                refused: Some(
                    refused
                        .iter()
                        .map(|name| ((*name).to_owned(), ErrorCode::NotFound))
                        .collect(),
                ),
            };
            order.received(&ServerFrame::Welcome(welcome)).map(|()| order)
        };
        assert!(resume(&["lobby"], &[]).unwrap().received(&events([6])).is_ok());
        assert!(resume(&[], &["lobby"]).unwrap().received(&events([6])).is_err());
        assert!(resume(&[], &[]).is_err());
        assert!(resume(&["lobby"], &["lobby"]).is_err());
    }
}
