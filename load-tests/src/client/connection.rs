//! One connection: frames out, frames in, answers matched with their commands.

use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use protocol::{ClientFrame, Codec, Command, Hello, ServerFrame, server::Welcome};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol::CloseFrame},
};
use tokio_util::either::Either;

use super::{
    Closed, Error, Options, memo,
    order::{Order, Positions},
    upgrade::{Stream, upgrade},
};

/// A connection to a node.
///
/// Frames are read only while one of its methods waits. Methods that read are cancel safe: what has arrived is kept for
/// the next one. Methods that write are not; a frame may then have been sent or not.
pub struct Client {
    socket: WebSocketStream<Stream>,
    codec: Codec,
    subprotocol: Option<String>,
    timeout: Duration,
    next_id: u32,
    inbox: VecDeque<Arc<ServerFrame>>,
    order: Order,
    welcome: Option<Box<Welcome>>,
    closed: Option<Closed>,
}

impl Client {
    /// Connects and says hello.
    ///
    /// # Errors
    /// When the upgrade or the `hello` is refused, or either takes longer than [`Options::timeout`].
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let mut client = Self::open(options).await?;
        client.hello(options.hello.clone()).await?;
        Ok(client)
    }

    /// Connects and says nothing yet.
    ///
    /// # Errors
    /// When the upgrade is refused or takes longer than [`Options::timeout`].
    pub async fn open(options: &Options) -> Result<Self, Error> {
        // Boxed: it is large, and rare.
        let upgraded = within(options.timeout, "the upgrade", Box::pin(upgrade(options)));
        let (socket, subprotocol) = upgraded.await?;
        Ok(Self {
            socket,
            codec: options.codec,
            subprotocol,
            timeout: options.timeout,
            next_id: 0,
            inbox: VecDeque::new(),
            order: Order::default(),
            welcome: None,
            closed: None,
        })
    }

    /// Says `hello` and waits for the `welcome`.
    ///
    /// # Errors
    /// When it is refused, or the connection ends.
    pub async fn hello(&mut self, hello: Hello) -> Result<Welcome, Error> {
        match self.request(Command::Hello(hello)).await? {
            ServerFrame::Welcome(welcome) => Ok(welcome),
            other => Err(unexpected("hello", &other)),
        }
    }

    /// The last `welcome`.
    ///
    /// # Errors
    /// When there was none yet.
    pub fn welcome(&self) -> Result<&Welcome, Error> {
        self.welcome
            .as_deref()
            .ok_or_else(|| Error::Protocol("there was no `welcome` yet".to_owned()))
    }

    /// The last `welcome`, which is then forgotten: it need not be kept as long as the connection lives.
    ///
    /// # Errors
    /// When there was none yet.
    pub fn take_welcome(&mut self) -> Result<Box<Welcome>, Error> {
        self.welcome()?;
        self.welcome
            .take()
            .ok_or_else(|| Error::Protocol("there was no `welcome` yet".to_owned()))
    }

    /// The subprotocol that the server named.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The codec that this client writes and reads.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// How long a wait may take.
    pub(super) fn time_limit(&self) -> Duration {
        self.timeout
    }

    /// The last `seq` of each open room, to be resumed from.
    pub fn positions(&self) -> Positions {
        self.order.positions()
    }

    /// How the connection ended; `None` as long as no end was read.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Sends a command and waits for its answer: `welcome`, `ok` or `pong`. Frames that arrive before it are kept for
    /// [`Client::next`].
    ///
    /// # Errors
    /// [`Error::Refused`] when the answer is an `error`; else when the connection ends or nothing comes in time.
    pub async fn request(&mut self, command: Command) -> Result<ServerFrame, Error> {
        let op = command.op();
        let id = self.post(command).await?;
        within(self.timeout, op, async {
            loop {
                let frame = self.read().await?;
                if answers(&frame) != Some(id) {
                    self.inbox.push_back(frame);
                    continue;
                }
                return match Arc::unwrap_or_clone(frame) {
                    ServerFrame::Error(refused) => Err(Error::Refused(refused)),
                    answer => Ok(answer),
                };
            }
        })
        .await
    }

    /// Sends a command with an `id` and returns the `id`; the answer comes through [`Client::next`].
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn post(&mut self, command: Command) -> Result<u32, Error> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.write_command(ClientFrame {
            id: Some(id),
            command,
        })
        .await?;
        Ok(id)
    }

    /// Sends a command without an `id`: only a refusal is answered.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn tell(&mut self, command: Command) -> Result<(), Error> {
        self.write_command(ClientFrame { id: None, command }).await
    }

    /// The next frame, in the order of arrival. Waits as long as it takes.
    ///
    /// # Errors
    /// When the connection ends, or the frame breaks the order of its room or is none.
    pub async fn next(&mut self) -> Result<ServerFrame, Error> {
        self.next_shared().await.map(Arc::unwrap_or_clone)
    }

    /// The same, for whoever only looks at it: clients that are sent the same bytes share what they mean.
    ///
    /// # Errors
    /// As [`Client::next`].
    pub async fn next_shared(&mut self) -> Result<Arc<ServerFrame>, Error> {
        match self.inbox.pop_front() {
            Some(frame) => Ok(frame),
            None => self.read().await,
        }
    }

    /// The first frame, of those kept and those to come, for which `pick` has a value. All others are kept.
    ///
    /// # Errors
    /// As [`Client::next`], and when none comes in time; `what` is then named in the error.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&ServerFrame) -> Option<T>,
    ) -> Result<T, Error> {
        let kept = self.inbox.iter().enumerate();
        if let Some((place, value)) = kept.filter_map(|(i, frame)| Some((i, pick(frame)?))).next() {
            self.inbox.remove(place);
            return Ok(value);
        }
        within(self.timeout, what, async {
            loop {
                let frame = self.read().await?;
                match pick(&frame) {
                    Some(value) => return Ok(value),
                    None => self.inbox.push_back(frame),
                }
            }
        })
        .await
    }

    /// Reads until the connection ends and says how. Frames that arrive before are kept for [`Client::next`].
    ///
    /// # Errors
    /// When it does not end in time, or a frame breaks the order.
    pub async fn wait_closed(&mut self) -> Result<Closed, Error> {
        within(self.timeout, "the end of the connection", async {
            loop {
                match self.read().await {
                    Ok(frame) => self.inbox.push_back(frame),
                    Err(Error::Closed(closed)) => return Ok(closed),
                    Err(other) => return Err(other),
                }
            }
        })
        .await
    }

    /// Closes the connection and waits for the server's own close frame.
    ///
    /// # Errors
    /// As [`Client::wait_closed`].
    pub async fn close(&mut self, code: u16, reason: &str) -> Result<Closed, Error> {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.to_owned().into(),
        };
        self.send_message(Message::Close(Some(frame))).await?;
        self.wait_closed().await
    }

    /// Sends any value as a frame in the codec of this connection, valid or not.
    ///
    /// # Errors
    /// When it cannot be written, or the connection has ended.
    pub async fn send_value(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let bytes = self.codec.encode(value).map_err(Error::other)?;
        self.send_message(self.message(bytes)?).await
    }

    /// Sends any WebSocket message: text, bytes, a ping, a part of a message.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send_message(&mut self, message: Message) -> Result<(), Error> {
        if let Some(closed) = &self.closed {
            return Err(closed.clone().into());
        }
        match self.socket.send(message).await {
            Ok(()) => Ok(()),
            // The server may have closed with a reason that has not been read yet.
            Err(error) => match self.closed_by_now().await {
                Some(closed) => Err(closed.into()),
                None => Err(error.into()),
            },
        }
    }

    /// The socket beneath the WebSocket, for breaches of RFC 6455 itself.
    pub fn socket(&mut self) -> &mut TcpStream {
        match self.socket.get_mut() {
            Either::Left(plain) => plain,
            Either::Right(secured) => secured.get_mut().0,
        }
    }

    async fn write_command(&mut self, frame: ClientFrame) -> Result<(), Error> {
        let bytes = self.codec.encode(&frame).map_err(Error::other)?;
        let message = self.message(bytes)?;
        self.order.sent(frame);
        self.send_message(message).await
    }

    fn message(&self, bytes: Vec<u8>) -> Result<Message, Error> {
        Ok(match self.codec {
            Codec::Json => Message::Text(Utf8Bytes::try_from(bytes).map_err(Error::other)?),
            Codec::Msgpack => Message::binary(bytes),
        })
    }

    /// Reads, decodes and checks the next frame of the socket.
    async fn read(&mut self) -> Result<Arc<ServerFrame>, Error> {
        if let Some(closed) = &self.closed {
            return Err(closed.clone().into());
        }
        loop {
            let frame = match self.socket.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    let _ = self.end(None);
                    return Err(error.into());
                }
                None => return Err(self.end(None).into()),
            };
            let frame = match (self.codec, frame) {
                (Codec::Json, Message::Text(text)) => memo::decode(self.codec, text.as_bytes()),
                (Codec::Msgpack, Message::Binary(bytes)) => memo::decode(self.codec, &bytes),
                (_, Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
                (_, Message::Close(frame)) => {
                    let closed = self.end(frame);
                    // The answering close frame is queued; that the server is gone already does no harm.
                    let _ = self.socket.flush().await;
                    return Err(closed.into());
                }
                (codec, _) => return Err(Error::Protocol(format!("a frame that is not {codec:?}"))),
            };
            let frame = frame.map_err(|e| Error::Protocol(e.to_string()))?;
            self.order.received(&frame)?;
            if let ServerFrame::Welcome(welcome) = &*frame {
                self.welcome = Some(Box::new(welcome.clone()));
            }
            return Ok(frame);
        }
    }

    fn end(&mut self, frame: Option<CloseFrame>) -> Closed {
        let closed = Closed {
            code: frame.as_ref().map(|frame| frame.code.into()),
            reason: frame.map_or_else(String::new, |frame| frame.reason.to_string()),
        };
        self.closed = Some(closed.clone());
        closed
    }

    /// After a failed write: what the server said before it closed, if that has arrived.
    async fn closed_by_now(&mut self) -> Option<Closed> {
        let wait = self.timeout.min(Duration::from_secs(1));
        let read = async {
            while let Ok(frame) = self.read().await {
                self.inbox.push_back(frame);
            }
        };
        let _ = tokio::time::timeout(wait, read).await;
        self.closed.clone().filter(|closed| closed.code.is_some())
    }
}

/// The `id` of the command that the frame answers.
pub(super) fn answers(frame: &ServerFrame) -> Option<u32> {
    match frame {
        ServerFrame::Welcome(welcome) => welcome.id,
        ServerFrame::Ok(done) => done.id,
        ServerFrame::Error(refused) => refused.id,
        ServerFrame::Pong { id, .. } => *id,
        _ => None,
    }
}

pub(super) fn unexpected(op: &str, answer: &ServerFrame) -> Error {
    Error::Protocol(format!("`{op}` was answered with {answer:?}"))
}

pub(super) async fn within<T>(
    limit: Duration,
    what: &str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, future).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout {
            what: format!("`{what}`"),
            seconds: limit.as_secs(),
        }),
    }
}
