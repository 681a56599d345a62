//! What somebody came in with.

use std::time::Duration;

use actors::{
    Scopes,
    ports::{CredentialKind, NewCredential},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use load_tests::client::Client;
use protocol::Codec;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Pair;
use crate::support::*;

/// Life of what expires.
const LIFE_MS: u64 = 1_500;

/// One case after the other.
pub(super) async fn everything(pair: &Pair) {
    pair.signing_out().await;
    pair.a_session_ended_on_another_device().await;
    pair.another_password().await;
    pair.a_key_that_is_revoked().await;
    pair.what_expires().await;
    pair.a_ban_from_the_server().await;
}

impl Pair {
    /// Somebody with a session, on `b`.
    async fn newcomer(&self) -> (Person, String, Client) {
        let name = format!("Newcomer {:08x}", fastrand::u32(..));
        let person = sign_up(&self.a, &name).await;
        let client = self.enter(&person.token).await;
        (person, name, client)
    }

    async fn enter(&self, token: &str) -> Client {
        let codec = if fastrand::bool() {
            Codec::Json
        } else {
            Codec::Msgpack
        };
        enter(&self.b.socket().codec(codec).token(token)).await
    }

    /// The connection ends with that code, and the credential opens no other; on no node anything.
    async fn ends(&self, what: &str, mut client: Client, begun: Instant, token: &str, close: u16) {
        let (code, took) = ended(&mut client, begun).await;
        assert_eq!(code, close, "{what}");
        self.took(what, took);
        let (refusal, closes, status) = match close {
            4101 => ("banned", 4101, 403),
            _ => ("unauthenticated", 4100, 401),
        };
        let person = Person {
            id: String::new(),
            token: token.to_owned(),
        };
        for node in [&self.a, &self.b] {
            let refused = turned_away(&node.socket().token(token)).await;
            assert_eq!(refused, (refusal.to_owned(), closes), "{what}");
            person.get(node, "/users/me").await.refused(status, refusal);
        }
    }

    async fn signing_out(&self) {
        let (person, _, client) = self.newcomer().await;
        let begun = Instant::now();
        assert_eq!(person.delete(&self.a, "/sessions/current").await.status, 204);
        self.ends("signing out", client, begun, &person.token, 4105).await;
    }

    async fn a_session_ended_on_another_device(&self) {
        let (person, name, client) = self.newcomer().await;
        let other = sign_in(&self.a, &name).await;
        let mut stays = self.enter(&other.token).await;
        let list = other.get(&self.a, "/sessions").await.ok(200);
        let sessions = list["sessions"].as_array().unwrap();
        let lost = sessions
            .iter()
            .find(|session| session["current"] == false)
            .unwrap();
        let path = format!("/sessions/{}", lost["id"].as_str().unwrap());
        let begun = Instant::now();
        assert_eq!(other.delete(&self.a, &path).await.status, 204);
        self.ends("a lost device", client, begun, &person.token, 4105)
            .await;
        stays.ping().await.unwrap();
    }

    async fn another_password(&self) {
        let (person, name, client) = self.newcomer().await;
        let other = sign_in(&self.a, &name).await;
        let mut stays = self.enter(&other.token).await;
        let body = json!({ "password": "another horse", "current_password": PASSWORD });
        let changed = other.send(&self.a, Method::PATCH, "/users/me", body).await;
        changed.ok(200);
        // Two hashes are made before it is done, which take what others leave of the cores.
        let begun = Instant::now();
        self.ends("another password", client, begun, &person.token, 4105)
            .await;
        stays.ping().await.unwrap();
    }

    async fn a_key_that_is_revoked(&self) {
        let name = format!("Bot {:08x}", fastrand::u32(..));
        let root = self.cast.who("administrator");
        let body = json!({ "name": name, "scopes": ["read"] });
        let key = root.send(&self.a, Method::POST, "/keys", body).await.ok(201);
        let token = key["key"].as_str().unwrap();
        let client = self.enter(token).await;
        let path = format!("/keys/{}", key["id"].as_str().unwrap());
        let begun = Instant::now();
        assert_eq!(root.delete(&self.a, &path).await.status, 204);
        self.ends("a revoked key", client, begun, token, 4105).await;
    }

    /// A session of which a moment is left.
    async fn what_expires(&self) {
        let token = format!(
            "hs1_{}",
            URL_SAFE_NO_PAD.encode(fastrand::u128(..).to_be_bytes().repeat(2))
        );
        let now_ms = self.cast.stores.log.status().await.unwrap().now_ms;
        let session = NewCredential {
            id: format!("s_{:032x}", fastrand::u128(..)).into(),
            kind: CredentialKind::Session,
            hash: Sha256::digest(&token).into(),
            account: self.cast.id("stranger").into(),
            label: "nearly over".into(),
            scopes: Scopes::ALL,
            expires_at: Some(now_ms + LIFE_MS),
        };
        let made = self.cast.stores.accounts.create_credential(&session, None).await;
        assert!(made.unwrap().is_some());
        let due = Instant::now() + Duration::from_millis(LIFE_MS);
        let client = self.enter(&token).await;
        self.ends("what expires by itself", client, due, &token, 4105)
            .await;
    }

    async fn a_ban_from_the_server(&self) {
        let (person, name, client) = self.newcomer().await;
        let path = format!("/bans/{}", person.id);
        let root = self.cast.who("administrator");
        let begun = Instant::now();
        root.put(&self.a, &path, json!({ "reason": "rude" }))
            .await
            .ok(200);
        self.ends("a ban from the server", client, begun, &person.token, 4101)
            .await;
        for node in [&self.a, &self.b] {
            let body = json!({ "name": name, "password": PASSWORD });
            node.post("/sessions", body).await.refused(403, "banned");
        }
        assert_eq!(
            root.send(&self.a, Method::DELETE, &path, Value::Null)
                .await
                .status,
            204
        );
    }
}
