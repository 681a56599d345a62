//! Somebody with an account, over HTTP.

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};

use super::{Node, PASSWORD};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self
            .headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().unwrap()
    }

    /// Checks that this is problem details with that status and code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, &self.body["code"]),
            (status, &json!(code)),
            "{self:?}"
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
    }

    /// Checks the status.
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// The cookie that it sets: what a browser would send.
    pub(crate) fn cookie(&self) -> String {
        let (pair, _) = self.header("set-cookie").split_once(';').unwrap();
        pair.to_owned()
    }
}

/// Sends a request.
pub(crate) async fn ask(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    Answer {
        status,
        headers,
        body,
    }
}

impl Node {
    /// A request that carries no credential.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.api(path))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        ask(self.request(Method::POST, path).json(&body)).await
    }
}

impl Person {
    pub(crate) async fn get(&self, node: &Node, path: &str) -> Answer {
        ask(node.request(Method::GET, path).bearer_auth(&self.token)).await
    }

    pub(crate) async fn delete(&self, node: &Node, path: &str) -> Answer {
        ask(node.request(Method::DELETE, path).bearer_auth(&self.token)).await
    }

    pub(crate) async fn send(&self, node: &Node, method: Method, path: &str, body: Value) -> Answer {
        ask(node.request(method, path).bearer_auth(&self.token).json(&body)).await
    }

    pub(crate) async fn put(&self, node: &Node, path: &str, body: Value) -> Answer {
        self.send(node, Method::PUT, path, body).await
    }

    fn signed_in(answer: Answer) -> Self {
        let body = answer.ok(201);
        Self {
            id: body["user"]["id"].as_str().unwrap().to_owned(),
            token: body["token"].as_str().unwrap().to_owned(),
        }
    }
}

/// Makes an account.
pub(crate) async fn sign_up(node: &Node, name: &str) -> Person {
    let body = json!({ "name": name, "password": PASSWORD });
    Person::signed_in(node.post("/users", body).await)
}

/// Signs in once more.
pub(crate) async fn sign_in(node: &Node, name: &str) -> Person {
    let body = json!({ "name": name, "password": PASSWORD });
    Person::signed_in(node.post("/sessions", body).await)
}
