//! The WebSocket endpoint: from the upgrade to the pump.

pub(super) mod handshake;
mod hello;
mod pump;
mod socket;

use std::{net::SocketAddr, sync::Arc};

use actors::outbox::Outbox;
use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use hyper_util::rt::TokioIo;
use protocol::{Codec, ErrorCode};
use tokio::net::TcpStream;

use self::{pump::Start, socket::Socket};
use super::{
    admission::{Admitted, Refusal},
    client_address::client_address,
    credentials::presented,
    gate::{Gate, Serving},
    problem::Problem,
};
use crate::auth::{Presented, Refused};

/// After this many milliseconds a client that met a draining node may try again, at another.
const DRAINING_RETRY_MS: u64 = 1_000;

/// `GET /ws`.
pub(super) async fn upgrade(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    if !handshake::wants_websocket(request.headers()) {
        return not_a_websocket();
    }
    match check(&gate, peer, request.headers(), request.uri()).await {
        Ok(accepted) => {
            gate.metrics.handshakes().increment(1);
            switch(&gate, request, accepted)
        }
        Err(problem) => {
            gate.metrics.handshakes_refused().increment(1);
            problem.into_response()
        }
    }
}

/// A request that passed every check.
struct Accepted {
    serving: Arc<Serving>,
    admitted: Admitted,
    codec: Codec,
    name_subprotocol: bool,
    presented: Presented,
}

/// The checks, in the order of the wire's table.
async fn check(gate: &Gate, peer: SocketAddr, headers: &HeaderMap, uri: &Uri) -> Result<Accepted, Problem> {
    let serving = gate.serving().ok_or_else(|| {
        Problem::new(
            ErrorCode::Overloaded,
            "this node does not take connections at the moment",
        )
        .retry_after_ms(DRAINING_RETRY_MS)
    })?;
    let address = client_address(peer, headers, &gate.trusted_proxies);
    let admitted = gate.admission.admit(address).map_err(|refusal| match refusal {
        Refusal::Full(wait) => {
            Problem::new(ErrorCode::Overloaded, "this node is full at the moment").retry_after(wait)
        }
        Refusal::Address(wait) => {
            Problem::new(ErrorCode::RateLimited, "too many connections from your address").retry_after(wait)
        }
    })?;
    handshake::check_url(uri)?;
    let (codec, name_subprotocol) = handshake::choose_codec(headers)?;
    handshake::check_origin(headers, &gate.allowed_origins)?;
    let presented = presented(headers)?;
    if let Some(token) = &presented.bearer {
        // Who is banned is told so in answer to `hello`, where a browser can see it.
        match serving.authenticator.verify(token).await {
            Ok(_) | Err(Refused::Banned) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(Accepted {
        serving,
        admitted,
        codec,
        name_subprotocol,
        presented,
    })
}

/// Answers 101 and starts the pump as soon as the connection is handed over.
fn switch(gate: &Gate, mut request: Request, accepted: Accepted) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::from_str(&handshake::accept_key(request.headers())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    if accepted.name_subprotocol {
        let subprotocol = HeaderValue::from_static(accepted.codec.subprotocol());
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let outbox_bytes = gate.limits.outbox_bytes;
    let commands_per_second = gate.limits.commands_per_second;
    tokio::spawn(async move {
        let Accepted {
            serving,
            admitted,
            codec,
            presented,
            ..
        } = accepted;
        // The client may go before it is served.
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else {
            tracing::error!("an upgraded connection is not the TCP connection that was accepted");
            return;
        };
        let system = serving.system.clone();
        let outbox = Arc::new(Outbox::new(codec, outbox_bytes, system.metrics().clone()));
        let registered = system.connections().register(&outbox);
        if serving.is_draining() {
            // The node began to leave between the check and now: nobody else would tell this one.
            outbox.close(protocol::CloseCode::Restarting);
        }
        let socket = Socket::new(parts.io.into_inner(), parts.read_buf.into(), codec).await;
        let authenticator = serving.authenticator.clone();
        drop(serving);
        let start = Start {
            system,
            authenticator,
            codec,
            presented,
            commands_per_second,
            outbox,
            registered,
        };
        Box::pin(pump::run(socket, start)).await;
        drop(admitted);
    });
    response
}

fn not_a_websocket() -> Response {
    let problem = Problem::new(
        ErrorCode::BadRequest,
        "this address speaks WebSocket (RFC 6455, version 13) only",
    )
    .with_status(StatusCode::UPGRADE_REQUIRED);
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}
