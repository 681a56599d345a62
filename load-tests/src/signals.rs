//! Ctrl-C, SIGTERM, and a terminal that is closed.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Is cancelled by the first of them.
///
/// # Errors
/// When the system does not let this process take them.
pub(crate) fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let [stop] = cancelled_in_turn()?;
    Ok(stop)
}

/// The first of these is cancelled by the first signal, the next one by the next.
///
/// # Errors
/// When the system does not let this process take them.
pub(crate) fn cancelled_in_turn<const SIGNALS: usize>() -> anyhow::Result<[CancellationToken; SIGNALS]> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let tokens = std::array::from_fn(|_| CancellationToken::new());
    let in_turn = tokens.clone();
    tokio::spawn(async move {
        for token in in_turn {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(tokens)
}

/// What `work` comes to, unless one of them comes first: then it is dropped, and with it all servers and nodes that it
/// started.
///
/// # Errors
/// Those of `work`; when it was interrupted; when the system does not let this process take signals.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let stop = stop_on_signals()?;
    tokio::select! {
        done = work => done,
        () = stop.cancelled() => anyhow::bail!("interrupted before its end: there is no report"),
    }
}
