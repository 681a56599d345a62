//! A WebSocket client that writes any bytes, right or wrong, and reads every frame as it came.

use std::{collections::VecDeque, net::SocketAddr};

use protocol::Codec;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{http, within};

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// See the module's documentation.
pub(crate) struct Raw {
    stream: TcpStream,
    codec: Codec,
    unread: Vec<u8>,
    kept: VecDeque<Value>,
    next_id: u32,
    /// The answer to the upgrade.
    pub(crate) upgraded: http::Answer,
}

/// What the server sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    /// A data frame of the connection's codec.
    Data(Value),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Its close frame.
    Close {
        code: Option<u16>,
        reason: String,
    },
    /// TCP has ended.
    End,
}

/// The headers of an upgrade request, but `Host`.
pub(crate) const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

impl Raw {
    /// Upgrades with the codec's subprotocol and `headers`.
    pub(crate) async fn open(address: SocketAddr, codec: Codec, headers: &[(&str, &str)]) -> Self {
        let offer = ("sec-websocket-protocol", codec.subprotocol());
        let headers: Vec<_> = headers.iter().copied().chain([offer]).collect();
        let raw = Self::try_open(address, "/ws", codec, &headers, &[]).await;
        assert_eq!(raw.upgraded.status, 101, "{:?}", raw.upgraded);
        raw
    }

    /// Asks for an upgrade of `path` with exactly `headers` beside the mechanical ones, and sends `early` right behind
    /// without waiting for the answer.
    pub(crate) async fn try_open(
        address: SocketAddr,
        path: &str,
        codec: Codec,
        headers: &[(&str, &str)],
        early: &[u8],
    ) -> Self {
        let mut head = format!("GET {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {address}\r\n");
        }
        for (name, value) in UPGRADE.iter().chain(headers) {
            head += &format!("{name}: {value}\r\n");
        }
        within("the upgrade", async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let request = [format!("{head}\r\n").as_bytes(), early].concat();
            stream.write_all(&request).await.unwrap();
            let (upgraded, unread) = http::read_answer(&mut stream).await;
            Self {
                stream,
                codec,
                unread,
                kept: VecDeque::new(),
                next_id: 1,
                upgraded,
            }
        })
        .await
    }

    /// Says hello and returns the `welcome`.
    pub(crate) async fn hello(&mut self, mut hello: Value) -> Value {
        hello["op"] = "hello".into();
        self.say(&hello).await;
        let welcome = self.next().await;
        assert_eq!(welcome["op"], "welcome", "{welcome}");
        welcome
    }

    /// The payload of a frame in this connection's codec.
    pub(crate) fn encode(&self, frame: &Value) -> Vec<u8> {
        encode(self.codec, frame)
    }

    /// The opcode of this connection's data frames.
    pub(crate) fn opcode(&self) -> u8 {
        opcode(self.codec)
    }

    /// Writes `count` messages into an open room, without waiting for each, and reads their events.
    pub(crate) async fn fill(&mut self, room: &str, count: usize) {
        let run = fastrand::u64(..);
        let sends: Vec<_> = (0..count)
            .map(|n| json!({ "op": "send", "room": room, "cid": format!("{run:x}-{n}"), "text": format!("{n}") }))
            .collect();
        self.bytes(&frames(self.codec, &sends)).await;
        self.events(room, count).await;
    }

    /// Sends a frame.
    pub(crate) async fn say(&mut self, frame: &Value) {
        let payload = self.encode(frame);
        self.payload(&payload).await;
    }

    /// Sends a data frame with any payload.
    pub(crate) async fn payload(&mut self, payload: &[u8]) {
        self.frame(true, self.opcode(), payload).await;
    }

    /// Sends one WebSocket frame.
    pub(crate) async fn frame(&mut self, fin: bool, opcode: u8, payload: &[u8]) {
        self.bytes(&frame(fin, opcode, payload)).await;
    }

    /// Sends any bytes. A server that has closed already is no failure: its last words are still to be read.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        let _ = within("a write", self.stream.write_all(bytes)).await;
    }

    /// Sends a command with an `id` and returns its answer; other frames are kept.
    pub(crate) async fn ask(&mut self, mut command: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        command["id"] = id.into();
        self.say(&command).await;
        self.first(|frame| frame["id"] == id && frame["op"] != "events")
            .await
    }

    /// As [`Self::ask`], for a command that is done.
    pub(crate) async fn ok(&mut self, command: Value) -> Value {
        let answer = self.ask(command.clone()).await;
        assert_eq!(answer["op"], "ok", "{command}: {answer}");
        answer
    }

    /// As [`Self::ask`], for a command that is refused with `code`; returns the message.
    pub(crate) async fn refused(&mut self, command: Value, code: &str) -> String {
        let answer = self.ask(command.clone()).await;
        assert_eq!(answer["op"], "error", "{command}: {answer}");
        assert_eq!(answer["code"], code, "{command}: {answer}");
        answer["message"].as_str().expect("a message").to_owned()
    }

    /// Sends a message and returns its `seq`.
    pub(crate) async fn send(&mut self, room: &str, cid: &str, text: &str) -> u64 {
        let answer = self
            .ok(json!({ "op": "send", "room": room, "cid": cid, "text": text }))
            .await;
        answer["seq"].as_u64().unwrap()
    }

    /// The next frame with this `op`; others are kept.
    pub(crate) async fn next_op(&mut self, op: &str) -> Value {
        self.first(|frame| frame["op"] == op).await
    }

    /// The next `count` events of the room, which must come without a hole.
    pub(crate) async fn events(&mut self, room: &str, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            let frame = self
                .first(|frame| frame["op"] == "events" && frame["room"] == room)
                .await;
            events.extend(frame["events"].as_array().unwrap().iter().cloned());
        }
        assert_eq!(events.len(), count, "more events than expected: {events:?}");
        for pair in events.windows(2) {
            assert_eq!(
                pair[0]["seq"].as_u64().unwrap() + 1,
                pair[1]["seq"].as_u64().unwrap()
            );
        }
        events
    }

    /// The first frame, of those kept and those to come, that `is_it`.
    pub(crate) async fn first(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.kept.iter().position(&is_it) {
            return self.kept.remove(place).unwrap();
        }
        loop {
            let frame = self.read_data().await;
            if is_it(&frame) {
                return frame;
            }
            self.kept.push_back(frame);
        }
    }

    /// The next frame, in the order of arrival.
    pub(crate) async fn next(&mut self) -> Value {
        match self.kept.pop_front() {
            Some(frame) => frame,
            None => self.read_data().await,
        }
    }

    /// All frames that came before the answer to a `ping` that is sent now.
    pub(crate) async fn until_pong(&mut self) -> Vec<Value> {
        let pong = self.ask(json!({ "op": "ping" })).await;
        assert_eq!(pong["op"], "pong");
        self.kept.drain(..).collect()
    }

    /// Expects an `error` with `code`, without an `id`, and returns it.
    pub(crate) async fn error(&mut self, code: &str) -> Value {
        let error = self.next().await;
        assert_eq!(error["op"], "error", "{error}");
        assert_eq!(error["code"], code, "{error}");
        error
    }

    /// Expects the server's close frame with `code` as the very next thing, and then the end.
    pub(crate) async fn closed(&mut self, code: u16) {
        assert_eq!(self.kept, Vec::<Value>::new(), "frames that nobody looked at");
        match self.read().await {
            Incoming::Close { code: Some(got), .. } if got == code => {}
            other => panic!("close {code} is due, and there was {other:?}"),
        }
        assert_eq!(self.read().await, Incoming::End);
    }

    async fn read_data(&mut self) -> Value {
        match self.read().await {
            Incoming::Data(frame) => frame,
            other => panic!("a frame is due, and there was {other:?}"),
        }
    }

    /// Reads what comes next from the socket; the server's pings are passed over.
    pub(crate) async fn read(&mut self) -> Incoming {
        loop {
            match within("a frame", self.read_any()).await {
                Incoming::Ping(_) => {}
                other => return other,
            }
        }
    }

    /// Reads what comes next from the socket, however long it takes.
    pub(crate) async fn read_any(&mut self) -> Incoming {
        let Some((first, payload)) = self.read_frame().await else {
            return Incoming::End;
        };
        assert_eq!(first & 0xf0, 0x80, "neither a fragment nor an extension is due");
        match first & 0x0f {
            PING => Incoming::Ping(payload),
            PONG => Incoming::Pong(payload),
            CLOSE => Incoming::Close {
                code: payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
                reason: String::from_utf8(payload.get(2..).unwrap_or_default().to_vec()).unwrap(),
            },
            opcode => {
                assert_eq!(
                    opcode,
                    self.opcode(),
                    "text frames are JSON, binary ones MessagePack"
                );
                Incoming::Data(match self.codec {
                    Codec::Json => serde_json::from_slice(&payload).unwrap(),
                    Codec::Msgpack => rmp_serde::from_slice(&payload).unwrap(),
                })
            }
        }
    }

    /// First byte and payload of a frame; `None` at the end of the connection. Cancel safe.
    async fn read_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((first, header, length)) = self.header()
                && self.unread.len() >= header + length
            {
                let frame: Vec<u8> = self.unread.drain(..header + length).collect();
                return Some((first, frame[header..].to_vec()));
            }
            match self.stream.read_buf(&mut self.unread).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => panic!("the connection was broken off, not ended: {error}"),
            }
        }
    }

    /// First byte, length of the header and of the payload, of the frame that is read next.
    fn header(&self) -> Option<(u8, usize, usize)> {
        let (first, second) = (*self.unread.first()?, *self.unread.get(1)?);
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (header, length) = match second {
            126 => (
                4,
                u16::from_be_bytes(self.unread.get(2..4)?.try_into().unwrap()).into(),
            ),
            127 => (
                10,
                u64::from_be_bytes(self.unread.get(2..10)?.try_into().unwrap()),
            ),
            short => (2, short.into()),
        };
        Some((first, header, usize::try_from(length).unwrap()))
    }
}

fn encode(codec: Codec, frame: &Value) -> Vec<u8> {
    match codec {
        Codec::Json => serde_json::to_vec(frame).unwrap(),
        Codec::Msgpack => rmp_serde::to_vec(frame).unwrap(),
    }
}

fn opcode(codec: Codec) -> u8 {
    match codec {
        Codec::Json => TEXT,
        Codec::Msgpack => BINARY,
    }
}

/// Many frames, to be sent at once.
pub(crate) fn frames(codec: Codec, all: &[Value]) -> Vec<u8> {
    all.iter()
        .flat_map(|value| frame(true, opcode(codec), &encode(codec, value)))
        .collect()
}

/// A masked frame, as clients send it.
pub(crate) fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::from(fin) << 7 | opcode];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [0x11, 0x22, 0x33, 0x44];
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}
