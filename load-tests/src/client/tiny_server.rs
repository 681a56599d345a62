//! The smallest server that a client can be tried against: one room namespace in memory, no limits, no accounts. It can be
//! told to break its promises, so that tests see them noticed.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use futures_util::{SinkExt, StreamExt};
use protocol::{
    Codec, Command, ErrorCode, Event, EventBody, JoinFrom, Person, RoomName, ServerFrame,
    client::{frame_id, frame_op},
    fields::Fields,
    server::{Done, Refused, Resumed, Welcome},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        protocol::CloseFrame,
    },
};

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Every tenth event is not delivered to one of its members.
    Lose,
    /// Every tenth event is delivered twice to one of its members.
    Repeat,
    /// Event 60 is delivered twice to everybody.
    RepeatLast,
    /// Answers to `send` carry the `seq` of another message.
    WrongAck,
    /// Members get every tenth text changed.
    Garble,
    /// No room is there to be joined.
    NoRooms,
    /// The connection is closed instead of `send` being answered.
    Hangup,
}

#[derive(Default)]
struct Room {
    log: Vec<Event>,
    members: HashMap<u64, mpsc::UnboundedSender<ServerFrame>>,
}

struct Server {
    fault: Fault,
    rooms: Mutex<HashMap<RoomName, Room>>,
}

/// Serves until the test's runtime ends.
pub(crate) async fn start(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Arc::new(Server {
        fault,
        rooms: Mutex::default(),
    });
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            number += 1;
            tokio::spawn(serve(Arc::clone(&server), stream, number));
        }
    });
    address
}

async fn serve(server: Arc<Server>, stream: TcpStream, number: u64) {
    let mut codec = Codec::Json;
    #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
    let choose = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        if request.headers().contains_key("origin") {
            let mut refusal = ErrorResponse::new(Some("no such origin".to_owned()));
            *refusal.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::FORBIDDEN;
            return Err(refusal);
        }
        if let Some(offered) = request.headers().get("sec-websocket-protocol") {
            codec = Codec::from_subprotocol(offered.to_str().unwrap()).unwrap();
            response
                .headers_mut()
                .insert("sec-websocket-protocol", offered.clone());
        }
        Ok(response)
    };
    let Ok(socket) = accept_hdr_async(stream, choose).await else {
        return;
    };
    let (mut sink, mut source) = socket.split();
    let (outbox, mut frames) = mpsc::unbounded_channel::<ServerFrame>();
    tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            let bytes = codec.encode(&frame).unwrap();
            let message = match codec {
                Codec::Json => Message::text(String::from_utf8(bytes).unwrap()),
                Codec::Msgpack => Message::binary(bytes),
            };
            let message = match frame {
                ServerFrame::Error(refused) if refused.code == ErrorCode::Internal => {
                    Message::Close(Some(CloseFrame {
                        code: 1011.into(),
                        reason: "internal error".into(),
                    }))
                }
                _ => message,
            };
            if sink.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut person = number;
    while let Some(Ok(message)) = source.next().await {
        if message.is_close() {
            break;
        }
        for answer in server.handle(codec, &message.into_data(), (number, &mut person), &outbox) {
            let _ = outbox.send(answer);
        }
    }
    for room in server.rooms.lock().unwrap().values_mut() {
        room.members.remove(&number);
    }
}

type Rooms = BTreeMap<String, Resumed>;

fn resume(
    rooms: &mut HashMap<RoomName, Room>,
    asked: Option<&[(String, u64)]>,
    number: u64,
    outbox: &mpsc::UnboundedSender<ServerFrame>,
) -> (Rooms, Vec<ServerFrame>) {
    let mut resumed = Rooms::new();
    let mut replay = Vec::new();
    for (name, after) in asked.unwrap_or_default() {
        let name: RoomName = name.parse().unwrap();
        let room = rooms.entry(name.clone()).or_default();
        room.members.insert(number, outbox.clone());
        let found = Resumed {
            head: room.log.len() as u64,
            role: "guest".into(),
            reset: None,
        };
        resumed.insert(name.to_string(), found);
        let events = room.log[usize::try_from(*after).unwrap()..].to_vec();
        if !events.is_empty() {
            replay.push(ServerFrame::Events { room: name, events });
        }
    }
    (resumed, replay)
}

impl Server {
    fn handle(
        &self,
        codec: Codec,
        bytes: &[u8],
        (number, person): (u64, &mut u64),
        outbox: &mpsc::UnboundedSender<ServerFrame>,
    ) -> Vec<ServerFrame> {
        let fields = Fields::decode(codec, bytes).unwrap();
        let id = frame_id(&fields).unwrap();
        let command = Command::from_fields(&fields);
        if let Ok(Command::Hello(hello)) = &command {
            let token = hello.token.as_deref().and_then(|token| token.strip_prefix("t_"));
            *person = token.and_then(|of| of.parse().ok()).unwrap_or(number);
        }
        let me = Person {
            id: format!("g_{person}").into(),
            name: "someone".into(),
        };
        let refuse = |code: ErrorCode| {
            let message = frame_op(&fields).unwrap_or_default().to_owned();
            vec![ServerFrame::Error(Refused {
                id,
                code,
                message,
                retry_after_ms: None,
            })]
        };
        let mut rooms = self.rooms.lock().unwrap();
        match command {
            Ok(Command::Hello(hello)) => {
                let (resumed, replay) = resume(&mut rooms, hello.resume.as_deref(), number, outbox);
                let welcome = ServerFrame::Welcome(Welcome {
                    id,
                    node: "tiny".into(),
                    session: format!("s_{number}").into(),
                    user: me,
                    token: hello.guest.map(|_| format!("t_{number}")),
                    epoch: "e".into(),
                    heartbeat_ms: 25_000,
                    max_frame: 65_536,
                    time: 1,
                    rooms: hello.resume.map(|_| resumed),
                    refused: None,
                });
                [welcome].into_iter().chain(replay).collect()
            }
            Ok(Command::Join { .. }) if self.fault == Fault::NoRooms => refuse(ErrorCode::NotFound),
            Ok(Command::Join { room: name, from }) => {
                let room = rooms.entry(name.clone()).or_default();
                room.members.insert(number, outbox.clone());
                let head = room.log.len();
                let skip = match from {
                    JoinFrom::After(after) => usize::try_from(after).unwrap(),
                    JoinFrom::Newest(count) => head.saturating_sub(usize::try_from(count).unwrap()),
                };
                let mut answers = vec![ServerFrame::Ok(Done {
                    id,
                    room: Some(name.clone()),
                    title: Some("tiny".into()),
                    head: Some(head as u64),
                    role: Some("guest".into()),
                    members: Some(room.members.len() as u64),
                    ..Done::default()
                })];
                let events = room.log[skip..].to_vec();
                if !events.is_empty() {
                    answers.push(ServerFrame::Events { room: name, events });
                }
                answers
            }
            Ok(Command::Leave { room }) => {
                rooms.entry(room).or_default().members.remove(&number);
                vec![ServerFrame::Ok(Done::plain(id))]
            }
            Ok(Command::Send { .. }) if self.fault == Fault::Hangup => refuse(ErrorCode::Internal),
            Ok(Command::Send { room, cid, text, .. }) => {
                let seq = self.commit(rooms.entry(room.clone()).or_default(), &room, me, cid, text);
                let told = if self.fault == Fault::WrongAck {
                    seq + 1
                } else {
                    seq
                };
                vec![ServerFrame::Ok(Done::committed(id, told, seq))]
            }
            Ok(Command::Ping) => vec![ServerFrame::Pong { id, time: 1 }],
            Ok(_) => refuse(ErrorCode::Forbidden),
            Err(invalid) => refuse(invalid.code),
        }
    }

    fn commit(&self, room: &mut Room, name: &RoomName, user: Person, cid: Arc<str>, text: Arc<str>) -> u64 {
        let known = room
            .log
            .iter()
            .find(|event| event.user == user && event.cid == Some(Arc::clone(&cid)));
        if let Some(known) = known {
            return known.seq;
        }
        let seq = room.log.len() as u64 + 1;
        let event = Event {
            seq,
            user,
            at: seq,
            cid: Some(cid),
            body: EventBody::Message {
                text,
                reply_to: None,
                edited_at: None,
                deleted: false,
            },
        };
        room.log.push(event.clone());
        for (place, member) in room.members.values().enumerate() {
            let mut event = event.clone();
            let faulty = place == 0 && seq.is_multiple_of(10);
            let times = match self.fault {
                Fault::Lose if faulty => 0,
                Fault::Repeat if faulty => 2,
                Fault::RepeatLast if seq == 60 => 2,
                _ => 1,
            };
            if let (Fault::Garble, true, EventBody::Message { text, .. }) =
                (self.fault, faulty, &mut event.body)
            {
                *text = "something else".into();
            }
            for _ in 0..times {
                let _ = member.send(ServerFrame::Events {
                    room: name.clone(),
                    events: vec![event.clone()],
                });
            }
        }
        seq
    }
}
