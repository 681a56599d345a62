//! Whether people are let in at all: tried once before they come.

use anyhow::{Context, bail};
use protocol::{ErrorCode, JoinFrom, RoomName};
use tokio::time::Duration;

use crate::{
    client::{Client, Closed, Error, Options, Tls},
    fleet::FleetOptions,
    player,
};

/// One connection to each target and one join, as the first one who comes will have them.
///
/// # Errors
/// When a target lets nobody in, and waiting would not help; with what can be done.
pub(super) async fn try_each(options: &FleetOptions) -> anyhow::Result<()> {
    let tokens = player::tokens(options.tokens.as_deref())?;
    let secured = options.targets.iter().any(|url| url.starts_with("wss:"));
    let tls = secured
        .then(|| Tls::new(options.authorities.as_deref()))
        .transpose()?;
    let room: RoomName = format!("{}-0", options.prefix).parse()?;
    for target in &options.targets {
        let patience = Duration::from_secs_f64(options.scenario.clients.silence_seconds);
        let mut how = Options::new(target).timeout(patience);
        how = match tokens.first() {
            Some(token) => how.token(token),
            None => how.guest("person 0"),
        };
        if let Some(tls) = &tls {
            how = how.tls(tls);
        }
        try_one(&how, &room)
            .await
            .with_context(|| format!("{target} cannot be played against"))?;
    }
    Ok(())
}

async fn try_one(how: &Options, room: &RoomName) -> anyhow::Result<()> {
    let mut client = match Client::connect(how).await {
        Ok(client) => client,
        Err(error) if may_pass(&error) => return Ok(()),
        Err(error) => match error.refused().map(|refused| refused.code) {
            Some(ErrorCode::Unauthenticated) if how.as_hello().token.is_some() => {
                bail!("{error}; the first credential of --tokens is not good there")
            }
            Some(ErrorCode::Unauthenticated | ErrorCode::Forbidden) => {
                bail!("{error}; if guests are not let in (auth.guests), give credentials with --tokens FILE")
            }
            _ => return Err(error.into()),
        },
    };
    let joined = client.join(room, JoinFrom::Newest(0)).await;
    // It was only to try.
    let _ = client.close(1000, "").await;
    match joined {
        Ok(_) => Ok(()),
        Err(error) if may_pass(&error) => Ok(()),
        Err(error) => match error.refused().map(|refused| refused.code) {
            Some(ErrorCode::NotFound) => bail!(
                "joining {room}: {error}; rooms have to be made on joining (rooms.create_on_join), or beforehand, for --seed"
            ),
            _ => Err(error).with_context(|| format!("joining {room}")),
        },
    }
}

/// Whether it is worth coming again: the run shows how that goes.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Upgrade(refused) => matches!(refused.status, 429 | 503),
        Error::Refused(refused) => matches!(
            refused.code,
            ErrorCode::Overloaded | ErrorCode::RateLimited | ErrorCode::Internal
        ),
        Error::Closed(closed) => Closed::known_code(closed).is_some_and(|code| code.may_reconnect()),
        _ => false,
    }
}
