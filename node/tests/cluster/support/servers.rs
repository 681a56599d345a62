//! A database and a bus that are real, for the nodes of one test.

use load_tests::lab::{TestPostgres, TestRedis, postgres_for_tests, redis_for_tests};
use protocol::{Event, EventBody, RoomName};
use sqlx::PgPool;

use super::Settings;

/// An empty database, and a part of a Redis.
pub(crate) struct Servers {
    postgres_url: String,
    redis_url: String,
    prefix: String,
    pub(crate) pool: PgPool,
    _shared: (Option<TestPostgres>, Option<TestRedis>),
}

impl Servers {
    /// On servers that others may use, too.
    pub(crate) async fn shared() -> Self {
        let redis = redis_for_tests().unwrap();
        let mut servers = Self::with_redis(redis.url()).await;
        servers._shared.1 = Some(redis);
        servers
    }

    /// With a Redis of the test's.
    pub(crate) async fn with_redis(url: &str) -> Self {
        let postgres = postgres_for_tests().await.unwrap();
        let mut servers = Self::at(postgres.url(), url).await;
        servers._shared.0 = Some(postgres);
        servers
    }

    /// With an empty database and a Redis of the test's.
    pub(crate) async fn at(postgres_url: &str, redis_url: &str) -> Self {
        Self {
            postgres_url: postgres_url.to_owned(),
            redis_url: redis_url.to_owned(),
            prefix: format!("test-{:016x}", fastrand::u64(..)),
            pool: Box::pin(PgPool::connect(postgres_url)).await.unwrap(),
            _shared: (None, None),
        }
    }

    /// What a node is told to find them.
    pub(crate) fn settings(&self) -> Settings {
        super::settings(&[
            ("store.url", &self.postgres_url),
            ("bus.url", &self.redis_url),
            ("bus.prefix", &self.prefix),
        ])
    }

    /// The same, with the database reached in another way.
    pub(crate) fn settings_with(&self, store: &[(&str, &str)]) -> Settings {
        let mut settings = self.settings();
        settings.extend(super::settings(store));
        settings
    }

    pub(crate) fn postgres_url(&self) -> &str {
        &self.postgres_url
    }

    pub(crate) fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// The channel of a room.
    pub(crate) fn channel(&self, room: &RoomName) -> String {
        format!("{}:{{{room}}}:events", self.prefix)
    }

    /// The database holds exactly these messages of the room: a row each.
    pub(crate) async fn holds(&self, room: &RoomName, log: &[Event]) {
        type Row = (i64, String, Option<String>, i64, Option<String>);
        let rows: Vec<Row> =
            sqlx::query_as("SELECT seq, author, cid, at, text FROM events WHERE room = $1 ORDER BY seq")
                .bind(room.as_str())
                .fetch_all(&self.pool)
                .await
                .unwrap();
        let row = |event: &Event| -> Row {
            let EventBody::Message { text, .. } = &event.body else {
                panic!("{event:?} is no message")
            };
            let cid = event.cid.as_ref().map(ToString::to_string);
            let number = |n: u64| i64::try_from(n).unwrap();
            (
                number(event.seq),
                event.user.id.to_string(),
                cid,
                number(event.at),
                Some(text.to_string()),
            )
        };
        assert_eq!(rows, log.iter().map(row).collect::<Vec<_>>());
    }
}
