//! The database's password in a file that somebody else keeps up to date, so that it can be changed while nodes run.

use std::{path::PathBuf, time::Duration};

use actors::ports::StoreError;
use sqlx::{ConnectOptions, Connection, PgPool, postgres::PgConnectOptions};
use tokio_util::task::AbortOnDropHandle;

/// How often the file is read again. Postgres asks for the password only when a connection begins, so those that are open
/// outlive the change, and new ones fail for at most this long behind the file.
const READ_EVERY: Duration = Duration::from_secs(1);
/// How long Postgres may take to say whether it takes a password.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// `store.password_file`.
pub(super) struct PasswordFile {
    path: PathBuf,
    /// What connections are made with, but for the password.
    options: PgConnectOptions,
    /// As last read.
    password: String,
}

impl PasswordFile {
    /// Reads the file. `options` are what connections are made with, but for the password.
    pub(super) async fn read(path: PathBuf, options: PgConnectOptions) -> Result<Self, StoreError> {
        let password = password(&path).await.map_err(|reason| {
            StoreError::Down(format!("store.password_file: {} {reason}", path.display()))
        })?;
        Ok(Self {
            path,
            options,
            password,
        })
    }

    /// What connections are made with.
    pub(super) fn options(&self) -> PgConnectOptions {
        self.options.clone().password(&self.password)
    }

    /// Lets new connections of `pool` be made with what the file holds at the time, until the handle is dropped. A file that
    /// cannot be read changes nothing, nor does a password that Postgres does not take: a file may be changed before the
    /// database is, and until then it is the old one that lets a node in.
    pub(super) fn follow(mut self, pool: PgPool) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut useless = false;
            loop {
                tokio::time::sleep(READ_EVERY).await;
                match self.changed().await {
                    Ok(None) => useless = false,
                    Ok(Some(password)) => {
                        self.password = password;
                        pool.set_connect_options(self.options());
                        tracing::info!(file = %self.path.display(), "store.password_file has changed; new connections use it");
                        useless = false;
                    }
                    Err(reason) if !useless => {
                        tracing::warn!(file = %self.path.display(), reason, "store.password_file is of no use at the moment; the password before it is kept, and the file is tried every second");
                        useless = true;
                    }
                    Err(_) => {}
                }
            }
        }))
    }

    /// The file's password if it is another one and Postgres takes it; why it is of no use.
    async fn changed(&self) -> Result<Option<String>, String> {
        let password = password(&self.path).await?;
        if password == self.password {
            return Ok(None);
        }
        let options = self.options.clone().password(&password);
        match tokio::time::timeout(TRIAL_TIMEOUT, options.connect()).await {
            Ok(Ok(connection)) => {
                // It has been let in, which is all that was to be known.
                let _ = tokio::time::timeout(TRIAL_TIMEOUT, connection.close()).await;
                Ok(Some(password))
            }
            Ok(Err(error)) => Err(format!(
                "holds a password with which Postgres lets nobody in: {error}"
            )),
            Err(_) => Err("holds another password, and Postgres does not answer".to_owned()),
        }
    }
}

/// The file's text without the end of its line; why there is none.
async fn password(path: &std::path::Path) -> Result<String, String> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|error| format!("cannot be read: {error}"))?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(password.to_owned())
}
