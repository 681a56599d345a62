//! The document of the API and the API are the same thing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};

use node::{
    Server,
    config::{self, Assignment, Sources},
};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tempfile::TempDir;

struct Node {
    server: Server,
    _folder: TempDir,
}

impl Node {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/hubbub.db", folder.path().display());
        let settings = [
            ("http.listen", "127.0.0.1:0"),
            ("http.private_listen", "127.0.0.1:0"),
            ("store.url", &url),
        ];
        let flags = settings.map(|(key, value)| Assignment {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: "test".to_owned(),
        });
        let sources = Sources {
            file: None,
            folder: "/nonexistent".into(),
            environment: Vec::new(),
            flags: flags.into(),
        };
        let mut server = Server::bind(config::load(&sources).unwrap()).unwrap();
        Box::pin(server.start()).await.unwrap();
        Self {
            server,
            _folder: folder,
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        let url = format!("http://{}/api/v1{path}", self.server.public_address());
        Client::new().request(method, url).send().await.unwrap()
    }

    async fn document(&self) -> Value {
        let answer = self.ask(Method::GET, "/openapi.json").await;
        assert_eq!(answer.headers()["content-type"], "application/json");
        answer.json().await.unwrap()
    }
}

/// What the document has: the methods of each path.
fn documented(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        item.as_object()
            .unwrap()
            .keys()
            .map(|m| m.to_uppercase())
            .collect()
    };
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

/// Of every path that there is, the document has the methods that the router takes. That there are no other paths is the
/// way they are made: from the same list (`operations` in `http/api`).
#[tokio::test]
async fn paths_take_the_methods_that_the_document_says() {
    let node = Node::start().await;
    let documented = documented(&node.document().await);
    assert!(documented.len() > 20, "{documented:?}");
    for (path, methods) in documented {
        let address = path.replace(['{', '}'], "");
        let answer = node.ask(Method::TRACE, &address).await;
        assert_eq!(answer.status(), 405, "{path}");
        let allowed = answer.headers()["allow"].to_str().unwrap().split(',');
        let mut allowed: BTreeSet<String> = allowed.map(|method| method.trim().to_owned()).collect();
        // Whatever can be got has a head.
        allowed.remove("HEAD");
        assert_eq!(allowed, methods, "{path}");
    }
    let source = include_str!("../../src/http/api/mod.rs");
    assert!(!source.contains(".route("), "a route that is no operation");
}

#[tokio::test]
async fn the_document_says_what_is_needed_of_every_operation() {
    let node = Node::start().await;
    let document = node.document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{name}: {id} is taken");
            let responses = operation["responses"].as_object().unwrap();
            for status in ["500", "503"] {
                assert!(responses.contains_key(status), "{name}: {status}");
            }
            let open = operation.get("security").is_some();
            assert!(open || responses.contains_key("401"), "{name}");
            for parameter in path.split('/').filter_map(|part| part.strip_prefix('{')) {
                let parameter = parameter.trim_end_matches('}');
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(
                    parameters
                        .iter()
                        .any(|known| known["name"] == parameter && known["in"] == "path"),
                    "{name}: {parameter}"
                );
            }
        }
    }
    let codes = |status: &str| {
        let content = &document["components"]["responses"][status]["content"];
        content["application/problem+json"]["schema"]["properties"]["code"]["enum"].clone()
    };
    assert_eq!(
        codes("Forbidden"),
        serde_json::json!(["forbidden", "banned", "muted"])
    );
    assert_eq!(codes("RateLimited"), serde_json::json!(["rate_limited"]));
}
