//! `node make-administrator`.

use std::process::Stdio;

use serde_json::json;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{on_both_stores, support::*};

on_both_stores! {
    an_account_that_is_there_becomes_administrator
    an_account_is_made_with_a_password_from_standard_input
}

/// Runs the command; its exit code and what it said.
async fn run(place: &Place, name: &str, password: Option<&str>) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
    command
        .args(["make-administrator", name])
        .args(place.arguments())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if password.is_some() {
        command.arg("--password-stdin");
    }
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It may have ended without reading.
    let _ = input
        .write_all(format!("{}\n", password.unwrap_or_default()).as_bytes())
        .await;
    drop(input);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

pub(crate) async fn make_administrator(place: &Place, name: &str) {
    let (code, said) = run(place, name, None).await;
    assert_eq!(code, 0, "{said}");
}

async fn an_account_that_is_there_becomes_administrator(place: Place) {
    let node = place.node(&[]).await;
    let (code, said) = run(&place, "Ada", None).await;
    assert!(code == 1 && said.contains("--password-stdin"), "{said}");
    let ada = sign_up(&node, "Ada").await;
    ada.get(&node, "/audit").await.refused(403, "forbidden");
    let (code, said) = run(&place, "ada", None).await;
    assert!(code == 0 && said.contains(&ada.id), "{said}");
    until("the running node knows it", async || {
        ada.get(&node, "/audit").await.status == 200
    })
    .await;
    assert_eq!(run(&place, "Ada", None).await.0, 0, "again is no failure");
}

async fn an_account_is_made_with_a_password_from_standard_input(place: Place) {
    let node = place.node(&["auth.registration=false"]).await;
    let (code, said) = run(&place, "Root", Some("short")).await;
    assert!(code == 1 && said.contains("8 to 256"), "{said}");
    let (code, said) = run(&place, "Root", Some("a long password")).await;
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("a long password"));
    let body = json!({ "name": "Root", "password": "a long password" });
    let token = node.post("/sessions", body).await.ok(201)["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let root = Person {
        id: String::new(),
        token,
    };
    let me = root.get(&node, "/users/me").await.ok(200);
    assert_eq!(me["standing"], "administrator");
}
