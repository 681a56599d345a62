//! Tokens of another application.

use std::{path::Path, sync::Arc, time::UNIX_EPOCH};

use axum::{Router, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};

use crate::support::*;

const SECRET: &str = "a secret that is long enough to sign with";
const RSA: &[u8] = include_bytes!("rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("rsa.pub.pem");

fn now() -> u64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Claims that are right for [`strict`].
fn claims() -> Value {
    json!({
        "sub": "4711", "name": "Ada", "iss": "https://shop.example", "aud": "chat",
        "exp": now() + 600, "nbf": now() - 10,
    })
}

/// The right claims with others in their place; `null` takes one away.
fn changed(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}

fn hs256(claims: &Value) -> String {
    encode(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .unwrap()
}

fn signed(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = id.map(str::to_owned);
    encode(&header, claims, key).unwrap()
}

/// Takes tokens of one issuer for one audience.
async fn strict(place: &Place, key: &str) -> Node {
    place
        .node(&[
            key,
            "auth.jwt.issuer=https://shop.example",
            "auth.jwt.audience=chat",
            "auth.jwt.leeway_seconds=1",
        ])
        .await
}

async fn refused(node: &Node, token: &str) -> bool {
    let answer = Person {
        id: String::new(),
        token: token.to_owned(),
    };
    let answer = answer.get(node, "/users/me").await;
    assert!(matches!(answer.status, 200 | 401), "{answer:?}");
    answer.status == 401
}

fn secret() -> String {
    format!("auth.jwt.secret={SECRET}")
}

#[tokio::test]
async fn people_of_another_application_come_in_as_the_same_person_each_time() {
    let place = Place::sqlite();
    let node = strict(&place, &secret()).await;
    let client = enter(&node.socket().token(&hs256(&claims()))).await;
    let user = client.welcome().unwrap().user.clone();
    assert!(user.id.starts_with("j_") && user.id.len() <= 64, "{user:?}");
    assert_eq!(&*user.name, "Ada");
    let again = enter(&node.socket().bearer(&hs256(&changed(&json!({ "name": "Bea" }))))).await;
    let again = again.welcome().unwrap().user.clone();
    assert_eq!((&again.id, &*again.name), (&user.id, "Bea"));
    let nameless = enter(
        &node
            .socket()
            .token(&hs256(&changed(&json!({ "name": null, "sub": "0815" })))),
    )
    .await;
    let nameless = nameless.welcome().unwrap().user.clone();
    assert!(
        nameless.id != user.id && &*nameless.name == "0815",
        "{nameless:?}"
    );
    let person = Person {
        id: user.id.to_string(),
        token: hs256(&claims()),
    };
    person.get(&node, "/rooms").await.ok(200);
    let rename = person
        .send(&node, reqwest::Method::PATCH, "/users/me", json!({ "name": "X" }))
        .await;
    rename.refused(403, "forbidden");
    // Banned by id, as anybody is.
    let root = super::administration::administrator(&place, &node, "Root").await;
    root.put(&node, &format!("/bans/{}", user.id), json!({}))
        .await
        .ok(200);
    assert_eq!(turned_away(&node.socket().token(&person.token)).await.1, 4101);
}

#[tokio::test]
async fn a_token_gives_roles_in_the_rooms_that_it_names() {
    let place = Place::sqlite();
    let node = strict(&place, &secret()).await;
    let root = super::administration::administrator(&place, &node, "Root").await;
    for room in ["ops", "board"] {
        let body = json!({ "room": room, "visibility": "private" });
        root.send(&node, reqwest::Method::POST, "/rooms", body)
            .await
            .ok(201);
    }
    let with = |rooms: Value| Person {
        id: String::new(),
        token: hs256(&changed(&json!({ "rooms": rooms }))),
    };
    let message = || json!({ "cid": fastrand::u64(..).to_string(), "text": "hello" });
    let member = with(json!(["ops"]));
    let said = member
        .send(&node, reqwest::Method::POST, "/rooms/ops/messages", message())
        .await
        .ok(201);
    assert_eq!(member.get(&node, "/rooms/ops").await.ok(200)["role"], "member");
    member.get(&node, "/rooms/board").await.refused(404, "not_found");
    member
        .get(&node, "/rooms/ops/invites")
        .await
        .refused(403, "forbidden");
    let moderator = with(json!({ "ops": "moderator" }));
    moderator.get(&node, "/rooms/ops/invites").await.ok(200);
    let path = format!("/rooms/ops/messages/{}?cid=1", said["seq"]);
    moderator.delete(&node, &path).await.ok(200);
    with(json!(null))
        .get(&node, "/rooms/ops")
        .await
        .refused(404, "not_found");
    for wrong in [json!("ops"), json!({ "ops": "emperor" }), json!(["No Name"])] {
        assert!(refused(&node, &with(wrong).token).await);
    }
}

#[tokio::test]
async fn what_is_not_right_is_refused() {
    let place = Place::sqlite();
    let node = strict(&place, &secret()).await;
    for changes in [
        json!({ "exp": now() - 10 }),
        json!({ "exp": null }),
        json!({ "exp": "tomorrow" }),
        json!({ "nbf": now() + 60 }),
        json!({ "nbf": "yesterday" }),
        json!({ "aud": "shop" }),
        json!({ "aud": ["shop", "other"] }),
        json!({ "aud": null }),
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": null }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 5 }),
        json!({ "sub": "x".repeat(2_000) }),
    ] {
        assert!(refused(&node, &hs256(&changed(&changes))).await, "{changes}");
    }
    for changes in [
        json!({}),
        json!({ "aud": ["shop", "chat"] }),
        json!({ "nbf": null }),
    ] {
        assert!(!refused(&node, &hs256(&changed(&changes))).await, "{changes}");
    }
    let expired = hs256(&changed(&json!({ "exp": now() - 10 })));
    assert_eq!(
        turned_away(&node.socket().token(&expired)).await,
        ("unauthenticated".to_owned(), 4100)
    );
}

#[tokio::test]
async fn a_forged_token_is_refused() {
    let place = Place::sqlite();
    let node = strict(&place, &secret()).await;
    let good = hs256(&claims());
    assert!(!refused(&node, &good).await);
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, mac] = parts[..] else {
        panic!("{good}")
    };
    let text = |text: &str| BASE64.encode(text);
    let root = BASE64.encode(changed(&json!({ "sub": "root" })).to_string());
    for forged in [
        format!("{}.{body}.", text(r#"{"alg":"none","typ":"JWT"}"#)),
        format!("{}.{body}.{mac}", text(r#"{"alg":"none","typ":"JWT"}"#)),
        format!("{}.{body}.", text(r#"{"alg":"None"}"#)),
        format!("{}.{body}.{mac}", text(r#"{"typ":"JWT"}"#)),
        format!("{header}.{root}.{mac}"),
        format!("{header}.{body}."),
        format!("{header}.{body}"),
        format!("{header}.{body}.{mac}.{mac}"),
        "..".to_owned(),
        format!("{header}..{mac}"),
    ] {
        assert!(refused(&node, &forged).await, "{forged}");
    }
    let other = EncodingKey::from_secret(b"another secret, which is long enough too");
    assert!(refused(&node, &signed(Algorithm::HS256, None, &other, &claims())).await);
    // Of the right family, but not among those that are taken.
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    assert!(refused(&node, &signed(Algorithm::HS512, None, &key, &claims())).await);
}

#[tokio::test]
async fn a_key_is_never_used_for_another_kind_of_algorithm() {
    let place = Place::sqlite();
    let file = place.file("public.pem");
    std::fs::write(&file, RSA_PUBLIC).unwrap();
    let node = strict(&place, &format!("auth.jwt.public_key_file={}", file.display())).await;
    let rsa = EncodingKey::from_rsa_pem(RSA).unwrap();
    assert!(!refused(&node, &signed(Algorithm::RS256, None, &rsa, &claims())).await);
    assert!(
        refused(&node, &signed(Algorithm::RS512, None, &rsa, &claims())).await,
        "not among those taken"
    );
    // The public key, which everybody may have, as the secret of an HMAC.
    let pem = String::from_utf8(RSA_PUBLIC.to_vec()).unwrap();
    for secret in [
        RSA_PUBLIC.to_vec(),
        pem.trim_end().as_bytes().to_vec(),
        pem.replace('\n', "").into_bytes(),
    ] {
        let confused = EncodingKey::from_secret(&secret);
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(refused(&node, &signed(algorithm, None, &confused, &claims())).await);
        }
    }
    // Nothing is taken where nothing is configured.
    let without = place.node(&[]).await;
    assert!(refused(&without, &signed(Algorithm::RS256, None, &rsa, &claims())).await);
    assert!(refused(&without, &hs256(&claims())).await);
}

#[tokio::test]
async fn every_kind_of_public_key_is_taken() {
    let place = Place::sqlite();
    for (algorithm, kind) in [
        (Algorithm::ES256, &PKCS_ECDSA_P256_SHA256),
        (Algorithm::EdDSA, &PKCS_ED25519),
    ] {
        let pair = KeyPair::generate_for(kind).unwrap();
        let file = place.file("public.pem");
        std::fs::write(&file, pair.public_key_pem()).unwrap();
        let node = strict(&place, &format!("auth.jwt.public_key_file={}", file.display())).await;
        let token = signed(algorithm, None, &encoding(algorithm, &pair), &claims());
        assert!(!refused(&node, &token).await, "{algorithm:?}");
        let other = KeyPair::generate_for(kind).unwrap();
        let forged = signed(algorithm, None, &encoding(algorithm, &other), &claims());
        assert!(refused(&node, &forged).await, "{algorithm:?}");
    }
}

fn encoding(algorithm: Algorithm, pair: &KeyPair) -> EncodingKey {
    let pem = pair.serialize_pem();
    match algorithm {
        Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
        _ => EncodingKey::from_ec_pem(pem.as_bytes()),
    }
    .unwrap()
}

/// A key and its entry in a set.
struct Signer {
    id: &'static str,
    key: EncodingKey,
    jwk: Value,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let key = encoding(Algorithm::ES256, &pair);
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        jwk["kid"] = json!(id);
        jwk["use"] = json!("sig");
        Self { id, key, jwk }
    }

    fn token(&self) -> String {
        signed(Algorithm::ES256, Some(self.id), &self.key, &claims())
    }
}

fn set(signers: &[&Signer]) -> String {
    let keys: Vec<&Value> = signers.iter().map(|signer| &signer.jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// Serves a key set that can be exchanged, and counts how often it is fetched.
async fn key_server(text: String) -> (String, Arc<Mutex<(String, u32)>>) {
    let state = Arc::new(Mutex::new((text, 0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let served = Arc::clone(&state);
    let answer = move || async move {
        let mut state = served.lock();
        state.1 += 1;
        state.0.clone()
    };
    let router = Router::new().route("/jwks.json", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, state)
}

#[tokio::test]
async fn keys_rotate_at_an_address() {
    let place = Place::sqlite();
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let (url, state) = key_server(set(&[&old])).await;
    let node = strict(&place, &format!("auth.jwt.jwks_url={url}")).await;
    for _ in 0..20 {
        assert!(!refused(&node, &old.token()).await);
    }
    assert_eq!(state.lock().1, 1, "they are remembered");
    assert!(refused(&node, &new.token()).await);
    state.lock().0 = set(&[&new]);
    until("the new key is known", async || {
        !refused(&node, &new.token()).await
    })
    .await;
    assert!(
        refused(&node, &old.token()).await,
        "and the old one is not any more"
    );
    let fetched = state.lock().1;
    for _ in 0..20 {
        assert!(refused(&node, &Signer::new("unknown").token()).await);
    }
    assert!(
        state.lock().1 <= fetched + 1,
        "unknown keys do not make the node ask again and again"
    );
}

#[tokio::test]
async fn keys_rotate_in_a_file() {
    let place = Place::sqlite();
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let file = place.file("jwks.json");
    std::fs::write(&file, set(&[&old])).unwrap();
    let node = strict(&place, &format!("auth.jwt.jwks_file={}", file.display())).await;
    assert!(!refused(&node, &old.token()).await);
    std::fs::write(&file, set(&[&old, &new])).unwrap();
    until("the new key is known", async || {
        !refused(&node, &new.token()).await
    })
    .await;
    assert!(!refused(&node, &old.token()).await);
    std::fs::write(&file, "not a key set").unwrap();
    assert!(!refused(&node, &new.token()).await, "the last good ones serve");
}

#[tokio::test]
async fn a_shared_secret_in_a_set_is_no_key() {
    let place = Place::sqlite();
    let good = Signer::new("good");
    let hmac = json!({ "kty": "oct", "kid": "secret", "alg": "HS256", "k": BASE64.encode(SECRET) });
    let file = place.file("jwks.json");
    std::fs::write(&file, json!({ "keys": [good.jwk, hmac] }).to_string()).unwrap();
    let settings = [
        format!("auth.jwt.jwks_file={}", file.display()),
        "auth.jwt.algorithms=HS256,ES256".to_owned(),
        "auth.jwt.audience=chat".to_owned(),
    ];
    let node = place.node(&settings.each_ref().map(String::as_str)).await;
    assert!(!refused(&node, &good.token()).await);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    assert!(refused(&node, &signed(Algorithm::HS256, Some("secret"), &key, &claims())).await);
    // One key's name with another's algorithm.
    assert!(refused(&node, &signed(Algorithm::HS256, Some("good"), &key, &claims())).await);
}

#[tokio::test]
async fn a_connection_ends_when_its_token_does() {
    let place = Place::sqlite();
    let node = place
        .node(&[&secret(), "auth.jwt.audience=chat", "auth.jwt.leeway_seconds=0"])
        .await;
    let token = hs256(&changed(&json!({ "exp": now() + 6 })));
    let mut client = enter(&node.socket().token(&token)).await;
    let (code, took) = ended(&mut client, Instant::now()).await;
    assert_eq!(code, 4105);
    assert!(took.as_secs() < 10, "{took:?}");
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_told_at_the_start() {
    let missing = Path::new("/nonexistent/key.pem").display().to_string();
    let place = Place::sqlite();
    let bad = place.file("bad.pem");
    std::fs::write(&bad, "no key").unwrap();
    for (key, value) in [
        ("auth.jwt.public_key_file", missing.clone()),
        ("auth.jwt.public_key_file", bad.display().to_string()),
        ("auth.jwt.jwks_file", missing),
    ] {
        let error = place.try_node(&[&format!("{key}={value}")]).await.err().unwrap();
        let told = format!("{error:#}");
        assert!(told.contains(key), "{told}");
    }
}
