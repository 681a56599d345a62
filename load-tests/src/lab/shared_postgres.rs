//! A Postgres for tests that only need a database of their own.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU32, Ordering},
};

use anyhow::Result;
use tokio::sync::Mutex;

use super::postgres::{Postgres, PostgresOptions, create_database};

/// The server that tests of one process share while any of them uses it: a static one would never be dropped.
static SHARED: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());

/// An empty database of one's own. On a private server, which may end when this is dropped, else it stays behind.
#[derive(Debug)]
pub struct TestPostgres {
    url: String,
    _server: Option<Arc<Postgres>>,
}

impl TestPostgres {
    /// The database's URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Makes an empty database: on the server that the environment variable `HUBBUB_TEST_POSTGRES_URL` names, if it is
/// set, else on a private server without fsync that the tests of this process share.
///
/// # Errors
/// As [`Postgres::start`] and [`Postgres::create_database`].
pub async fn postgres_for_tests() -> Result<TestPostgres> {
    if let Ok(url) = std::env::var("HUBBUB_TEST_POSTGRES_URL") {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "hubbub_test_{}_{count}_{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        create_database(&url, &name).await?;
        let url = with_database(&url, &name);
        return Ok(TestPostgres { url, _server: None });
    }
    let server = {
        let mut shared = SHARED.lock().await;
        match shared.upgrade() {
            Some(server) => server,
            None => {
                let options = PostgresOptions {
                    fsync: false,
                    ..PostgresOptions::default()
                };
                let server = Arc::new(Postgres::start_with(options).await?);
                *shared = Arc::downgrade(&server);
                server
            }
        }
    };
    Ok(TestPostgres {
        url: server.create_database().await?,
        _server: Some(server),
    })
}

/// `url` with another database; its parameters stay.
fn with_database(url: &str, name: &str) -> String {
    let (base, parameters) = match url.split_once('?') {
        Some((base, parameters)) => (base, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |at| authority + at);
    format!("{}/{name}{parameters}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://u:p@h:1/old", "postgres://u:p@h:1/new"),
            ("postgres://u:p@h:1", "postgres://u:p@h:1/new"),
            (
                "postgres://h/old?sslmode=require",
                "postgres://h/new?sslmode=require",
            ),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
