//! Who there is: signing up, in and out, what is taken back and how soon, who guesses, names, bots, bans, tokens of
//! another application. Through the socket and HTTP, on SQLite and on Postgres.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures,
    reason = "a test may fail, and its future is no actor's"
)]

mod administration;
mod bots;
mod command;
mod guessing;
mod names;
mod revocation;
mod rooms;
mod sessions;
mod sign_in;
mod sites;
mod support;
mod tokens;

/// Makes a test of each case on SQLite and on Postgres. A case is an async function of a [`support::Place`].
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
