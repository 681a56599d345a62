//! Leases of nodes: each is a key that Redis forgets by itself, and one set knows which there are.

use std::time::Duration;

use actors::ports::HeldLease;
use bytes::Bytes;
use redis::{RedisError, Value, pipe};

use super::{
    connect::{Link, at},
    script,
    session::{Session, single},
};

impl Session {
    /// Renews the lease of `node`; answers with all that there are.
    ///
    /// # Errors
    /// In words, with the place; also while slots move.
    pub(super) async fn renew_lease(
        &self,
        node: &str,
        text: &[u8],
        lasts: Duration,
    ) -> Result<Vec<HeldLease>, String> {
        let (prefix, index) = (self.names.lease_prefix(), self.names.lease_index());
        let link = self.link_of(&index);
        let command = script::renew_lease(&prefix, &index, node, text, lasts);
        let mut answer = single(link, &command).await;
        if answer.as_ref().is_err_and(is_forgotten) {
            single(link, &script::load_renewal())
                .await
                .map_err(|e| at(&link.address, &e))?;
            answer = single(link, &command).await;
        }
        let answer = answer.map_err(|e| at(&link.address, &e))?;
        read(&answer).ok_or_else(|| format!("Redis at {}: leases of an unknown form", link.address))
    }

    /// Forgets the lease of `node`.
    ///
    /// # Errors
    /// In words, with the place; also while slots move.
    pub(super) async fn end_lease(&self, node: &str) -> Result<(), String> {
        let (prefix, index) = (self.names.lease_prefix(), self.names.lease_index());
        let link: &Link = self.link_of(&index);
        let mut commands = pipe();
        commands.cmd("DEL").arg(format!("{prefix}{node}")).ignore();
        commands.cmd("SREM").arg(&index).arg(node).ignore();
        let done = commands.query_async::<()>(&mut link.publisher.clone()).await;
        done.map_err(|e| at(&link.address, &e))
    }
}

/// Whether the server does not know the script.
fn is_forgotten(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        redis::ErrorKind::Server(redis::ServerErrorKind::NoScript)
    )
}

/// Texts and milliseconds, in turn.
fn read(answer: &Value) -> Option<Vec<HeldLease>> {
    let pairs = answer.as_sequence()?.chunks(2);
    let held = pairs.map(|pair| match pair {
        [Value::BulkString(text), Value::Int(left_ms)] => Some(HeldLease {
            text: Bytes::copy_from_slice(text),
            left: Duration::from_millis(u64::try_from(*left_ms).unwrap_or_default()),
        }),
        _ => None,
    });
    held.collect()
}
