//! The stores keep what the port promises: the shared suite over SQLite and Postgres.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use actors::conformance::{accounts, store::Nodes};
use load_tests::lab::{TestPostgres, postgres_for_tests};
use node::{
    config::{self, Config},
    store::{self, Stores},
};
use tempfile::TempDir;

fn config(url: &str) -> Config {
    let flags = vec![config::Assignment {
        key: "store.url".to_owned(),
        value: url.to_owned(),
        origin: "test".to_owned(),
    }];
    let sources = config::Sources {
        file: None,
        folder: "/nonexistent".into(),
        environment: Vec::new(),
        flags,
    };
    config::load(&sources).unwrap()
}

async fn open(url: &str) -> Stores {
    store::open(&config(url)).await.unwrap()
}

fn sqlite_url(folder: &Path) -> String {
    format!("sqlite://{}/hubbub.db", folder.display())
}

mod sqlite {
    use super::*;

    async fn nodes() -> (TempDir, Nodes) {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite_url(folder.path());
        let nodes = Nodes {
            a: open(&url).await.log,
            b: open(&url).await.log,
        };
        (folder, nodes)
    }

    async fn accounts() -> (TempDir, accounts::Nodes) {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite_url(folder.path());
        let nodes = accounts::Nodes {
            a: open(&url).await.accounts,
            b: open(&url).await.accounts,
        };
        (folder, nodes)
    }

    mod conformance {
        actors::store_conformance!(super::nodes);
    }

    mod accounts_conformance {
        actors::accounts_conformance!(super::accounts);
    }
}

mod postgres {
    use super::*;

    async fn nodes() -> (TestPostgres, Nodes) {
        let postgres = postgres_for_tests().await.unwrap();
        let nodes = Nodes {
            a: open(postgres.url()).await.log,
            b: open(postgres.url()).await.log,
        };
        (postgres, nodes)
    }

    async fn accounts() -> (TestPostgres, accounts::Nodes) {
        let postgres = postgres_for_tests().await.unwrap();
        let nodes = accounts::Nodes {
            a: open(postgres.url()).await.accounts,
            b: open(postgres.url()).await.accounts,
        };
        (postgres, nodes)
    }

    mod conformance {
        actors::store_conformance!(super::nodes);
    }

    mod accounts_conformance {
        actors::accounts_conformance!(super::accounts);
    }
}
