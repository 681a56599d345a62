//! A node reads a connection's bytes, and says every frame back: `node/src/http/ws/socket.rs` as it is, over TCP.
//!
//! The first byte of the input is the codec, the second says how many bytes come with the upgrade. Whatever comes, the
//! connection must come to an end, what is said back must be frames, and a frame must not be longer than what came.
#![no_main]

#[allow(dead_code, reason = "an echo has no deadlines and no bound of its own")]
#[path = "../../src/http/ws/socket.rs"]
mod socket;

use std::{cell::RefCell, future::poll_fn, net::Ipv4Addr, task::Poll, time::Duration};

use protocol::Codec;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use crate::socket::{Incoming, Socket};

/// Longest that a connection may take whose peer has said all.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

thread_local! {
    static STAGE: RefCell<Option<(Runtime, TcpListener)>> = const { RefCell::new(None) };
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [codec, early, said @ ..] = bytes else { return };
    let codec = Codec::ALL[usize::from(codec & 1)];
    let (early, said) = said.split_at(usize::from(*early).min(said.len()));
    STAGE.with_borrow_mut(|stage| {
        let (runtime, listener) = stage.get_or_insert_with(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let listener = runtime
                .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
                .expect("a listener");
            (runtime, listener)
        });
        runtime.block_on(async {
            let ended = tokio::time::timeout(ENDS_WITHIN, converse(listener, codec, early, said));
            ended.await.expect("the connection ends");
        });
    });
});

async fn converse(listener: &TcpListener, codec: Codec, early: &[u8], said: &[u8]) {
    let address = listener.local_addr().expect("an address");
    let (peer, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let mut peer = peer.expect("a connection");
    // Ports are not to run out: nothing stays behind a connection that is reset.
    socket2::SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .expect("SO_LINGER");
    let (server, _) = accepted.expect("a connection");
    let peer = async {
        peer.write_all(said).await.ok();
        peer.shutdown().await.ok();
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).await.ok();
        heard
    };
    let (heard, ()) = tokio::join!(peer, echo(server, early.to_vec(), codec));
    are_frames(&heard, early.len() + said.len());
}

async fn echo(server: TcpStream, early: Vec<u8>, codec: Codec) {
    let mut socket = Socket::new(server, early, codec).await;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(Err(_)) = socket.poll_write(cx, &mut |_| {}) {
                return Poll::Ready(());
            }
            match socket.poll_read(cx) {
                Poll::Ready(Incoming::Frame(payload)) => socket.queue(payload),
                Poll::Ready(Incoming::Control) => {}
                Poll::Ready(Incoming::Violation(code)) => {
                    socket.queue_close(code);
                    return Poll::Ready(());
                }
                Poll::Ready(Incoming::WrongKind | Incoming::Closing | Incoming::Gone) => return Poll::Ready(()),
                Poll::Pending if socket.has_output() => match socket.poll_write(cx, &mut |_| {}) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                },
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    socket.finish(ENDS_WITHIN / 2).await;
}

/// Whole frames, unmasked, none of them a fragment, none with a longer payload than what it may answer.
fn are_frames(mut bytes: &[u8], longest: usize) {
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(first & 0xf0, 0x80, "no fragment, no extension");
        assert!(matches!(first & 0x0f, 0x1 | 0x2 | 0x8 | 0xa), "{first:#x}");
        let (length, rest) = match second {
            126 => match rest {
                [a, b, rest @ ..] => (usize::from(u16::from_be_bytes([*a, *b])), rest),
                _ => return,
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((length, rest)) => (
                    usize::try_from(u64::from_be_bytes(*length)).expect("a length"),
                    rest,
                ),
                None => return,
            },
            short => (usize::from(*short), rest),
        };
        // A close of ours has a code and a reason.
        assert!(length <= longest.max(125), "{length} of {longest}");
        let Some(next) = rest.get(length..) else { return };
        bytes = next;
    }
}
