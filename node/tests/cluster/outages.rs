//! Outages of the store as operators know them: its password is changed, it fails over, its disk is full.

use std::{sync::Arc, time::Duration};

use load_tests::{
    client::{Client, Error},
    lab::{Postgres, PostgresOptions, redis_for_tests},
};
use protocol::{Codec, ErrorCode, JoinFrom, Page, RoomName, client::PageBound};
use sqlx::PgPool;

use crate::support::*;

/// What the nodes sign in with, so that the test can change its password.
struct Role {
    name: String,
    url: String,
    admin: PgPool,
}

impl Role {
    /// A role that owns the database, and the database's URL with it, without a password.
    async fn new(servers: &Servers, password: &str) -> Self {
        let name = format!("hubbub_role_{:016x}", fastrand::u64(..));
        let admin = servers.pool.clone();
        let (database,): (String,) = sqlx::query_as("SELECT current_database()::text")
            .fetch_one(&admin)
            .await
            .unwrap();
        let role = Self {
            url: without_login(servers.postgres_url(), &name),
            name,
            admin,
        };
        role.order(&format!("CREATE ROLE {} LOGIN PASSWORD '{password}'", role.name))
            .await;
        role.order(&format!("ALTER DATABASE {database} OWNER TO {}", role.name))
            .await;
        role.order(&format!("GRANT ALL ON SCHEMA public TO {}", role.name))
            .await;
        role
    }

    /// Changes the password, and ends all connections that were made with the old one.
    async fn change_password(&self, password: &str) {
        self.order(&format!("ALTER ROLE {} PASSWORD '{password}'", self.name))
            .await;
        self.cut().await;
    }

    async fn cut(&self) {
        self.order(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'",
            self.name
        ))
        .await;
    }

    async fn order(&self, sql: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&self.admin)
            .await
            .unwrap();
    }
}

/// `postgres://OTHER:SECRET@HOST/…` as `postgres://NAME@HOST/…`.
fn without_login(url: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    format!("{scheme}://{name}@{place}")
}

async fn store_is(nodes: &[Node], up: f64) {
    for node in nodes {
        until("the node notices", async || {
            node.metric("hubbub_store_up").await == up
        })
        .await;
    }
}

/// Sends until the store takes it; the `seq`.
async fn taken_again(client: &mut Client, room: &RoomName, cid: &str) -> u64 {
    for _ in 0..100 {
        match client.send(room, cid, "text", None).await {
            Ok(committed) => return committed.seq,
            Err(Error::Refused(refused)) => {
                assert_eq!(refused.code, ErrorCode::Overloaded);
                tokio::time::sleep(Duration::from_millis(refused.retry_after_ms.unwrap())).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the store takes nothing")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_of_postgres_is_changed_while_nodes_run() {
    let servers = Servers::shared().await;
    let role = Role::new(&servers, "the first").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let write = |password: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, password).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    write("the first\n");
    let settings = servers.settings_with(&[
        ("store.url", &role.url),
        ("store.password_file", file.to_str().unwrap()),
    ]);
    let nodes = [Node::start(&settings).await, Node::start(&settings).await];
    let room = room("rotated");
    let mut ann = member(&nodes[0].url(), Codec::Json, "Ann", &room).await;
    let mut ben = member(&nodes[1].url(), Codec::Msgpack, "Ben", &room).await;
    assert_eq!(ann.say(&room, "before").await.unwrap().seq, 1);

    // Between the change in the database and that of the file it is an outage like any other.
    role.change_password("the second").await;
    store_is(&nodes, 0.0).await;
    let Err(Error::Refused(refused)) = ann.send(&room, "during", "text", None).await else {
        panic!("it was not refused")
    };
    assert_eq!(refused.code, ErrorCode::Overloaded);
    assert!(refused.retry_after_ms.is_some());
    // Half a file is none.
    write("");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(nodes[0].metric("hubbub_store_up").await, 0.0);

    write("the second\n");
    store_is(&nodes, 1.0).await;
    assert_eq!(ann.send(&room, "during", "text", None).await.unwrap().seq, 2);
    assert_eq!(ben.say(&room, "after").await.unwrap().seq, 3);
    for client in [&mut ann, &mut ben] {
        let seqs: Vec<u64> = client
            .take_events(&room, 3)
            .await
            .unwrap()
            .iter()
            .map(|e| e.seq)
            .collect();
        assert_eq!(seqs, [1, 2, 3]);
    }

    // The file may be the first to know: until the database does, nodes are let in with what they had.
    write("the third\n");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(ann.say(&room, "on open connections").await.unwrap().seq, 4);
    role.cut().await;
    assert_eq!(taken_again(&mut ann, &room, "on new ones").await, 5);
    assert_eq!(
        taken_again(&mut ben, &room, "on those of the other node").await,
        6
    );
    role.change_password("the third").await;
    taken_again(&mut ann, &room, "last").await;
}

/// Its machine is gone: connections hang, and at the same address there is soon another server with the same data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_fails_over_to_another_server_at_the_same_address() {
    let options = PostgresOptions {
        fsync: false,
        ..PostgresOptions::default()
    };
    let primary = Postgres::start_with(options).await.unwrap();
    let url = primary.create_database().await.unwrap();
    let front = Front::before(primary.port()).await;
    let redis = redis_for_tests().unwrap();
    let servers = Servers::at(&url, redis.url()).await;
    let settings = servers.settings_with(&[("store.url", &front.url(&url, primary.port()))]);
    let nodes = [Node::start(&settings).await, Node::start(&settings).await];
    let mut talk = Talk::new(nodes.iter().map(Node::url).collect(), "failover", 12, 14);
    talk.patience = Duration::from_secs(45);
    let talk = Arc::new(talk);
    let (seen, successor) = tokio::join!(talk.run(), async {
        talk.acked(0.3).await;
        primary.pause().unwrap();
        let successor = primary.copy().await.unwrap();
        store_is(&nodes, 0.0).await;
        front.lead_to(successor.port());
        store_is(&nodes, 1.0).await;
        successor
    });
    let (log, _) = verify(&talk, &seen);
    let at_successor = url.replace(
        &format!(":{}/", primary.port()),
        &format!(":{}/", successor.port()),
    );
    Servers::at(&at_successor, redis.url())
        .await
        .holds(&talk.room, &log)
        .await;
}

/// What stands before Postgres takes connections and ends them, since there is no Postgres behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_behind_something_that_ends_connections_is_an_outage_like_any_other() {
    let servers = Servers::shared().await;
    let port = reqwest::Url::parse(servers.postgres_url())
        .unwrap()
        .port()
        .unwrap();
    let front = Front::before(port).await;
    let settings = servers.settings_with(&[("store.url", &front.url(servers.postgres_url(), port))]);
    let node = Node::start(&settings).await;
    let room = room("ended");
    let mut ann = member(&node.url(), Codec::Json, "Ann", &room).await;
    assert_eq!(ann.say(&room, "before").await.unwrap().seq, 1);
    let bearer = token(&ann);
    let http = reqwest::Client::new();

    front.lead_nowhere();
    let older = Page {
        bound: PageBound::Before(1),
        limit: 50,
    };
    for n in 0..5 {
        let unknown = crate::support::room(&format!("unknown-{n}"));
        for refused in [
            ann.send(&room, "during", "text", None).await.map(drop),
            ann.join(&unknown, JoinFrom::Newest(0)).await.map(drop),
            ann.history(&room, older).await.map(drop),
        ] {
            let Err(Error::Refused(refused)) = refused else {
                panic!("it was not refused: {refused:?}")
            };
            assert_eq!(refused.code, ErrorCode::Overloaded, "{refused:?}");
            assert!(
                refused.retry_after_ms.is_some_and(|after| after > 0),
                "{refused:?}"
            );
        }
        let answer = http
            .get(node.api("/rooms"))
            .bearer_auth(&bearer)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
    }

    front.lead_to(port);
    assert_eq!(taken_again(&mut ann, &room, "during").await, 2);
}

/// No file of the node may grow: what it writes to its store fails as on a full disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite_refuses_what_is_written_and_serves_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&[
        ("data_dir", folder.path().to_str().unwrap()),
        ("limits.sends_per_second_per_user", "0"),
    ]);
    let node = Process::start_on_a_bounded_disk(&settings).await;
    node.ready().await;
    let room = room("full");
    let mut ann = member(&node.url(), Codec::Json, "Ann", &room).await;
    let mut ben = member(&node.url(), Codec::Msgpack, "Ben", &room).await;
    let text = "x".repeat(8_000);
    for n in 0..10 {
        ann.send(&room, &format!("before-{n}"), &text, None)
            .await
            .unwrap();
    }
    let size = |name: &str| std::fs::metadata(folder.path().join(name)).map_or(0, |file| file.len());
    let largest = size("hubbub.db").max(size("hubbub.db-wal"));
    node.bound_files(Some(largest + 64 * 1024));

    let mut stored = 10;
    let refused = loop {
        match ann.send(&room, &format!("during-{stored}"), &text, None).await {
            Ok(committed) => stored = committed.seq,
            Err(Error::Refused(refused)) => break refused,
            Err(error) => panic!("{error}"),
        }
        assert!(stored < 200, "nothing bounds the disk");
    };
    assert_eq!(refused.code, ErrorCode::Overloaded);
    assert!(refused.retry_after_ms.is_some_and(|after| after > 0));
    // Nothing that was refused is shown, and what is there is served, also to who comes now.
    let page = Page {
        bound: PageBound::Newest,
        limit: 200,
    };
    let (events, _) = ben.history(&room, page).await.unwrap();
    assert_eq!(events.last().unwrap().seq, stored);
    let mut cai = guest(&node.url(), Codec::Json, "Cai").await;
    cai.join(&room, JoinFrom::Newest(5)).await.unwrap();
    assert_eq!(cai.take_events(&room, 5).await.unwrap()[4].seq, stored);
    assert_eq!(
        ben.take_events(&room, usize::try_from(stored).unwrap())
            .await
            .unwrap()
            .len() as u64,
        stored
    );

    node.bound_files(None);
    let cid = format!("during-{stored}");
    assert_eq!(taken_again(&mut ann, &room, &cid).await, stored + 1);
    for client in [&mut ben, &mut cai] {
        let events = client.take_events(&room, 1).await.unwrap();
        assert_eq!(events[0].cid.as_deref(), Some(cid.as_str()));
    }
}
