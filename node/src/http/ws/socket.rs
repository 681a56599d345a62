//! The socket of a WebSocket connection.
//!
//! Reading (masks, fragments, UTF-8, control frames, RFC 6455's rules) is tungstenite's. Writing is ours: frames from a
//! server are not masked, so a payload that a thousand clients get needs no copy for each; the shared bytes go to the
//! kernel with vectored writes, many frames at a time. What tungstenite itself wants to say (pongs, the echo of a close)
//! is taken from it at a frame's edge and sent in between.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use protocol::{CloseCode, Codec, limits::MAX_FRAME_BYTES};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        error::{CapacityError, Error, ProtocolError},
        protocol::{Role, WebSocketConfig},
    },
};

/// Frames in one vectored write; each takes two slices, and the kernel allows 1,024.
const FRAMES_AT_ONCE: usize = 64;
/// Tungstenite allocates its read buffer eagerly for every connection.
const READ_BUFFER_BYTES: usize = 2 * 1024;

/// See the module's documentation.
pub(super) struct Socket {
    websocket: WebSocketStream<Wire>,
    outgoing: VecDeque<Segment>,
    /// Bytes of the first segment that are written.
    written: usize,
    /// First byte of a data frame's header: FIN and the opcode.
    data_opcode: u8,
}

/// What the peer did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A data frame of the connection's kind.
    Frame(Bytes),
    /// Text where binary is due, or the other way round.
    WrongKind,
    /// A ping or pong.
    Control,
    /// It closes, and is echoed.
    Closing,
    /// It broke a rule of RFC 6455, or sent too much: close with this.
    Violation(CloseCode),
    /// The connection is gone.
    Gone,
}

struct Segment {
    header: [u8; 10],
    header_bytes: usize,
    payload: Bytes,
    /// Whether it is one of the outbox's frames.
    counted: bool,
}

/// The TCP connection; what tungstenite writes is kept aside.
struct Wire {
    tcp: TcpStream,
    replies: Vec<u8>,
}

impl Socket {
    /// Takes over a connection after the upgrade; `early` are the bytes that came behind the request.
    pub(super) async fn new(tcp: TcpStream, early: Vec<u8>, codec: Codec) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES));
        let wire = Wire {
            tcp,
            replies: Vec::new(),
        };
        let websocket = WebSocketStream::from_partially_read(wire, early, Role::Server, Some(config)).await;
        let data_opcode = match codec {
            Codec::Json => 0x81,
            Codec::Msgpack => 0x82,
        };
        Self {
            websocket,
            outgoing: VecDeque::new(),
            written: 0,
            data_opcode,
        }
    }

    /// Queues a payload as a data frame.
    pub(super) fn queue(&mut self, payload: Bytes) {
        self.outgoing.push_back(Segment::new(self.data_opcode, payload));
    }

    /// Queues a ping.
    pub(super) fn queue_ping(&mut self) {
        self.outgoing.push_back(Segment {
            counted: false,
            ..Segment::new(0x89, Bytes::new())
        });
    }

    /// Queues a close frame. Nothing may be queued behind it.
    pub(super) fn queue_close(&mut self, code: CloseCode) {
        let mut payload = code.as_u16().to_be_bytes().to_vec();
        payload.extend_from_slice(code.reason().as_bytes());
        self.outgoing.push_back(Segment {
            counted: false,
            ..Segment::new(0x88, payload.into())
        });
    }

    /// Whether anything is to be written.
    pub(super) fn has_output(&self) -> bool {
        !self.outgoing.is_empty() || !self.websocket.get_ref().replies.is_empty()
    }

    /// How many more frames are of use at the moment. A frame costs less while it is in the outbox.
    pub(super) fn room(&self) -> usize {
        FRAMES_AT_ONCE.saturating_sub(self.outgoing.len())
    }

    /// Writes what is queued. Ready when all is written, or the connection is gone. `progress` is called whenever the peer
    /// takes something, with the payload's bytes where that completes one of the outbox's frames.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut impl FnMut(Option<usize>),
    ) -> Poll<io::Result<()>> {
        loop {
            self.queue_replies();
            if self.outgoing.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let mut slices = [IoSlice::new(&[]); FRAMES_AT_ONCE * 2];
            let mut used = 0;
            let mut skip = self.written;
            for segment in self.outgoing.iter().take(FRAMES_AT_ONCE) {
                for part in [&segment.header[..segment.header_bytes], &segment.payload[..]] {
                    if let Some(rest) = part.get(skip..).filter(|rest| !rest.is_empty()) {
                        slices[used] = IoSlice::new(rest);
                        used += 1;
                    }
                    skip = skip.saturating_sub(part.len());
                }
            }
            let tcp = Pin::new(&mut self.websocket.get_mut().tcp);
            let bytes = ready!(tcp.poll_write_vectored(cx, &slices[..used]))?;
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(bytes, progress);
        }
    }

    fn advance(&mut self, bytes: usize, progress: &mut impl FnMut(Option<usize>)) {
        self.written += bytes;
        while let Some(segment) = self.outgoing.front() {
            let length = segment.header_bytes + segment.payload.len();
            if self.written < length {
                // Progress within a large frame is progress, too.
                progress(None);
                return;
            }
            self.written -= length;
            progress(segment.counted.then_some(segment.payload.len()));
            self.outgoing.pop_front();
        }
    }

    /// Reads the next frame.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        let text = self.data_opcode == 0x81;
        let message = ready!(Pin::new(&mut self.websocket).poll_next(cx));
        Poll::Ready(match message {
            // Payloads are slices of the read buffer; what is kept of them is copied by the decoder.
            Some(Ok(Message::Text(payload))) if text => Incoming::Frame(payload.into()),
            Some(Ok(Message::Binary(payload))) if !text => Incoming::Frame(payload),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => Incoming::WrongKind,
            Some(Ok(Message::Ping(_))) => {
                // The pong is written now, in front of what is said in answer to later frames.
                self.take_replies(cx);
                Incoming::Control
            }
            Some(Ok(Message::Pong(_))) => Incoming::Control,
            Some(Ok(Message::Close(_))) => {
                self.take_replies(cx);
                Incoming::Closing
            }
            Some(Ok(Message::Frame(_))) | None => Incoming::Gone,
            Some(Err(error)) => violation(&error),
        })
    }

    /// Lets tungstenite say what it has to: it would do so when it is next used. It writes to memory, so that this is done at
    /// once; its error only says that the connection is closed now.
    fn take_replies(&mut self, cx: &mut Context<'_>) {
        let _ = Pin::new(&mut self.websocket).poll_flush(cx);
        self.queue_replies();
    }

    fn queue_replies(&mut self) {
        let replies = &mut self.websocket.get_mut().replies;
        if !replies.is_empty() {
            let replies = std::mem::take(replies);
            self.outgoing.push_back(Segment::raw(replies.into()));
        }
    }

    /// Ends the connection so that the peer gets to read what was written last: closing a socket with unread input
    /// would reset it and could destroy that. At most `patience` long.
    pub(super) async fn finish(mut self, patience: std::time::Duration) {
        let last_words = async {
            std::future::poll_fn(|cx| self.poll_write(cx, &mut |_| {})).await?;
            let tcp = &mut self.websocket.get_mut().tcp;
            tcp.shutdown().await?;
            let mut unread = [0; 1024];
            while tcp.read(&mut unread).await? > 0 {}
            io::Result::Ok(())
        };
        // However it ends, the socket is dropped now.
        let _ = tokio::time::timeout(patience, last_words).await;
    }
}

fn violation(error: &Error) -> Incoming {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            Incoming::Violation(CloseCode::FrameTooLarge)
        }
        Error::Utf8(_) => Incoming::Violation(CloseCode::InvalidPayload),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Incoming::Gone,
        Error::Protocol(_) => Incoming::Violation(CloseCode::ProtocolError),
        _ => Incoming::Gone,
    }
}

impl Segment {
    /// A frame of `payload` (RFC 6455 §5.2, unmasked).
    #[allow(
        clippy::cast_possible_truncation,
        reason = "each arm's range is checked by the match"
    )]
    fn new(first_byte: u8, payload: Bytes) -> Self {
        let mut header = [0; 10];
        header[0] = first_byte;
        let length = payload.len();
        let header_bytes = match length {
            0..=125 => {
                header[1] = length as u8;
                2
            }
            126..=0xffff => {
                header[1] = 126;
                header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                4
            }
            _ => {
                header[1] = 127;
                header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
                10
            }
        };
        Self {
            header,
            header_bytes,
            payload,
            counted: true,
        }
    }

    /// Bytes that are frames already.
    fn raw(bytes: Bytes) -> Self {
        Self {
            header: [0; 10],
            header_bytes: 0,
            payload: bytes,
            counted: false,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.replies.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
