//! An echo for conformance tests of RFC 6455, made of the node's own framing: `node/src/http/ws/socket.rs` as it is, with its
//! limits, taken over from hyper in the node's way. What the node does with a breach of the rules, this does.
//!
//! A connection of a node carries either text (JSON) or binary frames (MessagePack), so there are two ports, which are on
//! standard output: `text on ADDRESS` and `binary on ADDRESS`. It serves until it is ended.
#![allow(
    clippy::print_stdout,
    reason = "the addresses are for the test that starts this"
)]

#[allow(dead_code, reason = "an echo has no deadlines and no bound of its own")]
#[path = "../src/http/ws/socket.rs"]
mod socket;

use std::{convert::Infallible, future::poll_fn, io, net::Ipv4Addr, task::Poll, time::Duration};

use axum::{body::Body, http::header};
use hyper::{
    Request, Response, StatusCode, body::Incoming as RequestBody, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use protocol::{CloseCode, Codec};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::socket::{Incoming, Socket};

/// As the pump's.
const FINISH_TIMEOUT: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> io::Result<()> {
    let text = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let binary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("text on {}", text.local_addr()?);
    println!("binary on {}", binary.local_addr()?);
    tokio::select! {
        ended = serve(text, Codec::Json) => ended,
        ended = serve(binary, Codec::Msgpack) => ended,
    }
}

async fn serve(listener: TcpListener, codec: Codec) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(move |request| async move { Ok::<_, Infallible>(upgrade(request, codec)) });
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // A connection that ends with an error is the peer's affair.
        tokio::spawn(async move { drop(connection.await) });
    }
}

/// Answers 101 and echoes as soon as the connection is handed over.
fn upgrade(mut request: Request<RequestBody>, codec: Codec) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return response;
    };
    let accept = derive_accept_key(key.as_bytes());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, &accept),
    ] {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else {
            return;
        };
        let socket = Socket::new(parts.io.into_inner(), parts.read_buf.into(), codec).await;
        echo(socket).await;
    });
    response
}

/// Says everything back until the connection ends.
async fn echo(mut socket: Socket) {
    let close = poll_fn(|cx| {
        loop {
            if let Poll::Ready(Err(_)) = socket.poll_write(cx, &mut |_| {}) {
                return Poll::Ready(None);
            }
            let Poll::Ready(incoming) = socket.poll_read(cx) else {
                if socket.has_output() && socket.room() > 0 {
                    // Reading may have produced a reply.
                    match socket.poll_write(cx, &mut |_| {}) {
                        Poll::Ready(Err(_)) => return Poll::Ready(None),
                        Poll::Ready(Ok(())) | Poll::Pending => {}
                    }
                }
                return Poll::Pending;
            };
            match incoming {
                Incoming::Frame(payload) => socket.queue(payload),
                Incoming::Control => {}
                Incoming::Closing | Incoming::Gone => return Poll::Ready(None),
                Incoming::WrongKind => return Poll::Ready(Some(CloseCode::BadFrame)),
                Incoming::Violation(code) => return Poll::Ready(Some(code)),
            }
        }
    })
    .await;
    if let Some(code) = close {
        socket.queue_close(code);
    }
    socket.finish(FINISH_TIMEOUT).await;
}
