//! The stores keep what the port promises: the shared suite over SQLite and Postgres.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{path::Path, sync::Arc};

use actors::{conformance::store::Nodes, ports::Store};
use load_tests::lab::{TestPostgres, postgres_for_tests};
use node::{
    config::{self, Config},
    store,
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

async fn open(url: &str) -> Arc<dyn Store> {
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
            a: open(&url).await,
            b: open(&url).await,
        };
        (folder, nodes)
    }

    mod conformance {
        actors::store_conformance!(super::nodes);
    }
}

mod postgres {
    use super::*;

    async fn nodes() -> (TestPostgres, Nodes) {
        let postgres = postgres_for_tests().await.unwrap();
        let nodes = Nodes {
            a: open(postgres.url()).await,
            b: open(postgres.url()).await,
        };
        (postgres, nodes)
    }

    mod conformance {
        actors::store_conformance!(super::nodes);
    }
}
