//! What is reached without a WebSocket.

mod api;
mod problems;

use serde_json::json;

use crate::support::{
    Node,
    http::{self, Answer},
};

/// A guest's `Authorization`.
async fn bearer(node: &Node, name: &str) -> String {
    let mut raw = node.open(protocol::Codec::Json).await;
    let welcome = raw.hello(json!({ "guest": name })).await;
    format!("Bearer {}", welcome["token"].as_str().unwrap())
}

async fn get(node: &Node, bearer: &str, path: &str) -> Answer {
    http::request(node.public(), "GET", path, &[("authorization", bearer)], "").await
}

async fn post(node: &Node, bearer: &str, path: &str, body: &str) -> Answer {
    let headers = [("authorization", bearer), ("content-type", "application/json")];
    http::request(node.public(), "POST", path, &headers, body).await
}
