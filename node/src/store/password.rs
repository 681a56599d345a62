//! The database's password in a file that somebody else keeps up to date, so that it can be changed while nodes run.

use std::{path::PathBuf, time::Duration};

use actors::ports::StoreError;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio_util::task::AbortOnDropHandle;

/// How often the file is read again. Postgres asks for the password only when a connection begins, so those that are open
/// outlive the change, and new ones fail for at most this long behind the file.
const READ_EVERY: Duration = Duration::from_secs(1);

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
    /// cannot be read changes nothing.
    pub(super) fn follow(mut self, pool: PgPool) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut unreadable = false;
            loop {
                tokio::time::sleep(READ_EVERY).await;
                match password(&self.path).await {
                    Ok(password) if password == self.password => unreadable = false,
                    Ok(password) => {
                        self.password = password;
                        pool.set_connect_options(self.options());
                        tracing::info!(file = %self.path.display(), "store.password_file has changed; new connections use it");
                        unreadable = false;
                    }
                    Err(reason) if !unreadable => {
                        tracing::warn!(file = %self.path.display(), reason, "store.password_file is of no use at the moment; the password read last is kept");
                        unreadable = true;
                    }
                    Err(_) => {}
                }
            }
        }))
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
