//! A node, and the two ways to speak with it: whole HTTP requests, and WebSocket frames byte by byte.

pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod process;
pub(crate) mod raw;

use std::{fmt::Debug, future::Future, time::Duration};

pub(crate) use node::Node;
use protocol::Codec;
pub(crate) use raw::{Incoming, Raw};

/// How long anything may take that is waited for: long, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Awaits `future`; panics with `what` when it takes too long.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("nothing came within {PATIENCE:?}: {what}"),
    }
}

/// Asks `probe` again and again until it has a value.
pub(crate) async fn eventually<T: Debug, F: Future<Output = Option<T>>>(
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T {
    within(what, async {
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// Runs a check with each codec, and says with which one it failed.
pub(crate) async fn with_both<F: Future<Output = ()>>(mut check: impl FnMut(Codec) -> F) {
    for codec in Codec::ALL {
        eprintln!("with {}", codec.subprotocol());
        // Boxed: a whole test is a large future.
        Box::pin(check(codec)).await;
    }
}
