//! Nodes on one store, and people who sign in to them.

mod node;
mod person;

use std::{future::Future, time::Duration};

use load_tests::client::{Client, Error, Options};
use tokio::time::{Instant, sleep};

pub(crate) use node::{Node, Place};
pub(crate) use person::{Answer, Person, ask, sign_in, sign_up};

/// The longest that anything which is bound to happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A password that is right wherever no other is said.
pub(crate) const PASSWORD: &str = "correct horse";

/// Connects and is welcomed.
pub(crate) async fn enter(options: &Options) -> Client {
    Client::connect(options).await.unwrap()
}

/// Connects and is refused: the code of the `error`, and that of the close.
pub(crate) async fn turned_away(options: &Options) -> (String, u16) {
    let mut client = Client::open(options).await.unwrap();
    let hello = protocol::Command::Hello(options.as_hello().clone());
    let refused = match client.request(hello).await {
        Err(Error::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    let closed = client.wait_closed().await.unwrap();
    (refused.code.as_str().to_owned(), closed.code.unwrap())
}

/// The code that ends the connection, and how long that took.
pub(crate) async fn ended(client: &mut Client, since: Instant) -> (u16, Duration) {
    let closed = client.wait_closed().await.unwrap();
    (closed.code.unwrap(), since.elapsed())
}

/// Waits until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Makes a test of each case on SQLite and on Postgres. A case is an async function of a [`Place`].
macro_rules! on_both_stores {
    ($($case:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::support::Place::sqlite()).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::support::Place::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both_stores;
