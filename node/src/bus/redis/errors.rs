//! What went wrong, in words for people.

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind};

/// What `error` means and what to do about it. Never holds a password: Redis does not repeat them.
pub(super) fn explain(error: &RedisError) -> String {
    let advice = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
            "it refuses the user name or password in bus.url"
        }
        (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
            "it is a read-only replica: bus.url must name the primary"
        }
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => "its user lacks a right that the bus needs",
        (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => "it is still loading its data",
        (ErrorKind::Server(ServerErrorKind::ClusterDown), _) => "its cluster is down",
        (_, Some("OOM")) => {
            "it is out of memory: raise maxmemory, or set maxmemory-policy to volatile-ttl or allkeys-lru"
        }
        (_, Some("MISCONF" | "NOREPLICAS")) => "it takes no writes",
        (ErrorKind::RESP3NotSupported, _) => "it is too old: Redis 6 or newer is needed, 7 for a cluster",
        (ErrorKind::Io, _) if error.is_timeout() => return "it does not answer in time".into(),
        (ErrorKind::Io, _) if error.to_string().contains("certificate") => {
            "its certificate is not trusted: bus.tls_ca_file must hold its authority, and the host in bus.url must be \
             the certificate's"
        }
        _ => return error.to_string(),
    };
    format!("{advice} ({error})")
}

/// What an error that Redis gave to one command means for the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Slots are moving: ask the cluster who serves what.
    Moved,
    /// The server has forgotten the script: load it again.
    NoScript,
    /// This server cannot be a bus at the moment.
    Unfit(String),
}

/// True if `error` says that a slot has another server, or will soon.
pub(super) fn moved(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    matches!(error.kind(), ErrorKind::Server(Moved | Ask | TryAgain))
}

/// Judges what Redis said to one command.
pub(super) fn judge(error: &ServerError) -> Verdict {
    let error = RedisError::from(error.clone());
    match error.kind() {
        _ if moved(&error) => Verdict::Moved,
        ErrorKind::Server(ServerErrorKind::NoScript) => Verdict::NoScript,
        _ => Verdict::Unfit(explain(&error)),
    }
}
