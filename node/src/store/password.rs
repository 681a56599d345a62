//! The database's password in a file that somebody else keeps up to date, so that it can be changed while nodes run.

use std::{path::PathBuf, time::Duration};

use actors::ports::StoreError;
use sqlx::{ConnectOptions, Connection, PgPool, error::DatabaseError, postgres::PgConnectOptions};
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
            Ok(Err(error)) if is_refusal(&error) => Err(format!(
                "holds a password with which Postgres lets nobody in: {error}"
            )),
            Ok(Err(error)) => Err(format!(
                "holds another password, and Postgres cannot be asked whether it takes it: {error}"
            )),
            Err(_) => Err("holds another password, and Postgres does not answer".to_owned()),
        }
    }
}

/// Whether Postgres has said no to who wanted in (class 28 of its appendix A), rather than nothing or something else.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code.starts_with("28"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_postgres_that_is_not_there_has_refused_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "the first\n").unwrap();
        // A port with nobody behind it, for as long as it is bound and not listened on.
        let nobody = tokio::net::TcpSocket::new_v4().unwrap();
        nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = nobody.local_addr().unwrap().port();
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port);
        let file = PasswordFile::read(path.clone(), options).await.unwrap();
        assert_eq!(file.changed().await, Ok(None));

        std::fs::write(&path, "the second\n").unwrap();
        let reason = file.changed().await.unwrap_err();
        let start = "holds another password, and Postgres cannot be asked whether it takes it: ";
        assert!(reason.starts_with(start), "{reason}");
    }
}
