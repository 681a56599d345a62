//! "Never log tokens", "no tokens in URLs": a node that logs everything it can, and all of the log searched for every secret
//! that it was shown.

use std::{path::Path, process::Stdio};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{EncodingKey, Header, encode};
use load_tests::lab::{RedisOptions, postgres_for_tests};
use protocol::Codec;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::support::{
    Raw, http,
    process::{Addresses, Process},
};

const JWT_SECRET: &str = "signing-secret-of-the-other-application";
const PASSWORD: &str = "correct-horse-battery";
const WRONG_PASSWORD: &str = "wrong-donkey-battery";
const NEW_PASSWORD: &str = "another-horse-battery";
const TEXT: &str = "a-confidential-message";

/// Everything that must not be in the log, with what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 8, "{what}: {secret:?} may be anywhere");
        self.0.push((what, secret.clone()));
        secret
    }
}

async fn call(to: Addresses, method: &str, path: &str, bearer: Option<&str>, body: &Value) -> http::Answer {
    let bearer = bearer.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    http::request(to.public, method, &format!("/api/v1{path}"), &headers, &body).await
}

async fn hello(to: Addresses, codec: Codec, headers: &[(&str, &str)], hello: Value) -> Raw {
    let mut raw = Raw::open(to.public, codec, headers).await;
    raw.hello(hello).await;
    raw.ok(json!({ "op": "join", "room": "lobby", "limit": 0 })).await;
    raw
}

/// Makes an administrator on the command line, who can make API keys.
async fn administrator(folder: &Path, settings: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
    command
        .args(["make-administrator", "Root", "--password-stdin"])
        .args(settings)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let line = format!("{PASSWORD}\n");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(line.as_bytes())
        .await
        .unwrap();
    assert!(child.wait().await.unwrap().success());
}

/// Presents every kind of credential in every place where it may be, and where it may not.
async fn present_everything(to: Addresses, secrets: &mut Secrets) {
    // Accounts: passwords, right and wrong, and the sessions that they give.
    let right = json!({ "name": "Ada", "password": PASSWORD });
    let answer = call(to, "POST", "/users", None, &right).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let session = secrets.add("a session's token", answer.json()["token"].as_str().unwrap());
    let wrong = json!({ "name": "Ada", "password": WRONG_PASSWORD });
    assert_eq!(call(to, "POST", "/sessions", None, &wrong).await.status, 401);
    let answer = call(
        to,
        "POST",
        "/sessions",
        None,
        &json!({ "name": "Root", "password": PASSWORD }),
    )
    .await;
    let root = secrets.add(
        "an administrator's token",
        answer.json()["token"].as_str().unwrap(),
    );
    let change = json!({ "current_password": PASSWORD, "password": NEW_PASSWORD });
    let answer = call(to, "PATCH", "/users/me", Some(&session), &change).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    // A bot's key, an invite link.
    let wanted = json!({ "name": "Bot", "scopes": ["read", "write"] });
    let answer = call(to, "POST", "/keys", Some(&root), &wanted).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let key = secrets.add("an API key", answer.json()["key"].as_str().unwrap());
    let room = json!({ "room": "club", "visibility": "private" });
    assert_eq!(call(to, "POST", "/rooms", Some(&root), &room).await.status, 201);
    let link = call(to, "POST", "/rooms/club/invites", Some(&root), &json!({})).await;
    let invite = secrets.add("an invite link's token", link.json()["token"].as_str().unwrap());
    let answer = call(
        to,
        "POST",
        "/invites/accept",
        Some(&session),
        &json!({ "token": invite }),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");

    // A token of another application, a guest's.
    let claims = json!({ "sub": "4711", "name": "Cai", "exp": 4_000_000_000_u64 });
    let jwt = encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(JWT_SECRET.as_bytes()),
    );
    let jwt = secrets.add("a JWT", jwt.unwrap());
    let mut raw = Raw::open(to.public, Codec::Json, &[]).await;
    let welcome = raw.hello(json!({ "guest": "Gus" })).await;
    let guest = secrets.add("a guest's token", welcome["token"].as_str().unwrap());

    for codec in Codec::ALL {
        for token in [&session, &key, &jwt, &guest] {
            let mut said = hello(to, codec, &[], json!({ "token": token })).await;
            said.send("lobby", &format!("{:x}", fastrand::u64(..)), TEXT)
                .await;
            let bearer = format!("Bearer {token}");
            hello(to, codec, &[("authorization", &bearer)], json!({})).await;
        }
        let cookie = format!("theme=dark; hubbub_session={session}");
        hello(to, codec, &[("cookie", &cookie)], json!({})).await;
    }
    for token in [&session, &key, &jwt, &guest] {
        let message = json!({ "cid": format!("{:x}", fastrand::u64(..)), "text": TEXT });
        call(to, "POST", "/rooms/lobby/messages", Some(token), &message).await;
        // Where it may not be: in the address, in a form of its own, cut short, in a broken frame.
        for name in ["token", "access_token", "authorization", "api_key", "jwt"] {
            let path = format!("/ws?{name}={token}");
            let raw = Raw::try_open(to.public, &path, Codec::Json, &[], &[]).await;
            assert_eq!(raw.upgraded.status, 400);
        }
        http::get(to.public, &format!("/api/v1/rooms?token={token}")).await;
        let basic = format!("Basic {token}");
        let broken = [("authorization", basic.as_str())];
        http::request(to.public, "GET", "/api/v1/rooms", &broken, "").await;
        let forged = format!("Bearer {token}x");
        let forged = [("authorization", forged.as_str())];
        http::request(to.public, "GET", "/api/v1/rooms", &forged, "").await;
        let mut raw = Raw::open(to.public, Codec::Json, &[]).await;
        raw.payload(format!("{{\"op\":\"hello\",\"token\":\"{token}\"").as_bytes())
            .await;
        raw.error("bad_frame").await;
        let mut raw = Raw::open(to.public, Codec::Json, &[]).await;
        raw.say(&json!({ "op": "hello", "token": [token] })).await;
        raw.error("bad_request").await;
    }
    assert_eq!(
        call(to, "DELETE", "/sessions/current", Some(&session), &Value::Null)
            .await
            .status,
        204
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_the_log_at_any_level() {
    let mut secrets = Secrets::default();
    for (what, secret) in [
        ("a password", PASSWORD),
        ("a wrong password", WRONG_PASSWORD),
        ("a new password", NEW_PASSWORD),
        ("the secret that tokens are signed with", JWT_SECRET),
        ("what somebody wrote", TEXT),
    ] {
        secrets.add(what, secret);
    }
    let folder = tempfile::tempdir().unwrap();
    let postgres = postgres_for_tests().await.unwrap();
    let password = postgres.url().split(['@', ':']).nth(2).unwrap();
    secrets.add("the password of Postgres", password);
    let redis = load_tests::lab::Redis::start_with(RedisOptions {
        auth: Some(("hubbub".to_owned(), "password-of-the-bus".to_owned())),
        ..RedisOptions::default()
    })
    .unwrap();
    secrets.add("the password of Redis", "password-of-the-bus");
    let store = format!("store.url={}", postgres.url());
    let bus = format!("bus.url={}", redis.url());
    let jwt = format!("auth.jwt.secret={JWT_SECRET}");
    let settings: Vec<&str> = [
        store.as_str(),
        &bus,
        &jwt,
        "auth.guests=true",
        "rooms.create_on_join=true",
        "log.level=trace",
        "limits.handshakes_per_second_per_address=0",
    ]
    .into_iter()
    .flat_map(|setting| ["--set", setting])
    .collect();
    administrator(folder.path(), &settings).await;
    let (node, to) = Process::ready(folder.path(), &settings).await;
    present_everything(to, &mut secrets).await;
    node.signal(Signal::TERM);
    node.signal(Signal::TERM);
    let ended = node.end().await;
    assert!(ended.log.len() > 10_000, "everything is logged: {}", ended.log);

    for (what, secret) in &secrets.0 {
        // As text, in base64 (Basic), in the bytes of a debug print, in hexadecimal.
        let bytes = format!("{:?}", secret.as_bytes());
        let forms = [
            secret.clone(),
            BASE64.encode(secret),
            bytes.trim_matches(['[', ']']).to_owned(),
            secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ];
        for form in forms {
            for (place, text) in [("log", &ended.log), ("standard output", &ended.out)] {
                if let Some(line) = text.lines().find(|line| line.contains(&form)) {
                    panic!("{what} is in the {place}: {line}");
                }
            }
        }
    }
}
