//! Accounts and their names.

use super::{Nodes, script::*};
use crate::ports::{Account, Claim};

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

/// Every field comes back on another node.
pub async fn an_account_comes_back_as_it_was_made(nodes: Nodes) {
    let mut new = new_account("u1", &["ann", "anna"]);
    new.administrator = true;
    let Claim::Given(made) = nodes.a.create_account(&new, &audit("made", "u1")).await.unwrap() else {
        panic!("the name was free");
    };
    assert_eq!(made.person, new.person);
    assert!(made.administrator && !made.bot);
    assert!(made.created_at.abs_diff(now_ms()) < 60_000, "{}", made.created_at);
    assert_eq!(nodes.b.account("u1").await.unwrap(), Some(made.clone()));
    let login = nodes.b.login("ann").await.unwrap().unwrap();
    assert_eq!((login.account, login.password), (made, new.password.clone()));
    assert_eq!(nodes.b.password("u1").await.unwrap(), new.password);
    assert_eq!(
        nodes.b.login("anna").await.unwrap(),
        None,
        "one signs in with the first key only"
    );
    assert_eq!(nodes.b.account("u2").await.unwrap(), None);
    assert_eq!(nodes.b.password("u2").await.unwrap(), None);
}

/// The second one to ask for a name does not get it, and nothing is left of the attempt.
pub async fn a_name_is_given_once(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let again = new_account("u2", &["ann", "other"]);
    assert_eq!(
        nodes
            .b
            .create_account(&again, &audit("made", "u2"))
            .await
            .unwrap(),
        Claim::Taken
    );
    assert_eq!(nodes.a.account("u2").await.unwrap(), None);
    assert_eq!(
        nodes.a.taken_names(&keys(&["other", "ann"])).await.unwrap(),
        keys(&["ann"])
    );
    assert!(nodes.a.taken_names(&[]).await.unwrap().is_empty());
}

/// Of many who ask at once one gets the name.
pub async fn concurrent_nodes_give_a_name_once(nodes: Nodes) {
    for round in 0..10 {
        let name = format!("name{round}");
        let other = format!("other{round}");
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let store = if n % 2 == 0 { &nodes.a } else { &nodes.b }.clone();
                let id = format!("u{round}-{n}");
                let new = if n % 3 == 0 {
                    new_account(&id, &[&name, &other])
                } else {
                    new_account(&id, &[&other, &name])
                };
                tokio::spawn(async move { store.create_account(&new, &audit("made", &id)).await.unwrap() })
            })
            .collect();
        let mut given = 0;
        for task in tasks {
            given += usize::from(matches!(task.await.unwrap(), Claim::Given(_)));
        }
        assert_eq!(given, 1);
    }
}

/// A name is taken when any of its keys is.
pub async fn any_of_the_keys_makes_a_name_taken(nodes: Nodes) {
    let bob = new_account("u1", &["вов", "bob"]);
    let claim = nodes.a.create_account(&bob, &audit("made", "u1")).await.unwrap();
    assert!(matches!(claim, Claim::Given(_)));
    let like_bob = new_account("u2", &["bob"]);
    let claim = nodes
        .b
        .create_account(&like_bob, &audit("made", "u2"))
        .await
        .unwrap();
    assert_eq!(claim, Claim::Taken);
    make_account(&nodes.b, "carl").await;
    let by = audit("renamed", "carl");
    let rename = nodes.b.rename("carl", "Bob", &keys(&["carl", "bob"]), &by).await;
    assert_eq!(rename.unwrap(), Claim::Taken);
    assert_eq!(
        nodes.a.account("carl").await.unwrap().unwrap().person,
        person("carl")
    );
}

/// With a new name the old one is free, and the new one is taken.
pub async fn a_rename_frees_the_old_name(nodes: Nodes) {
    make_account(&nodes.a, "ann").await;
    let renamed = nodes
        .b
        .rename("ann", "Bea", &keys(&["bea"]), &audit("renamed", "ann"))
        .await
        .unwrap();
    let Claim::Given(renamed) = renamed else {
        panic!("{renamed:?}")
    };
    assert_eq!(&*renamed.person.name, "Bea");
    assert_eq!(nodes.a.account("ann").await.unwrap(), Some(renamed.clone()));
    assert_eq!(nodes.a.login("ann").await.unwrap(), None);
    assert_eq!(nodes.a.login("bea").await.unwrap().unwrap().account, renamed);
    assert!(nodes.a.taken_names(&keys(&["ann"])).await.unwrap().is_empty());
    let same = nodes
        .b
        .rename("ann", "BEA", &keys(&["bea"]), &audit("renamed", "ann"))
        .await
        .unwrap();
    assert!(matches!(same, Claim::Given(_)), "one's own name is not taken");
    let nobody = nodes
        .b
        .rename("x", "X", &keys(&["x"]), &audit("renamed", "x"))
        .await
        .unwrap();
    assert_eq!(nobody, Claim::NoAccount);
}

/// Pages go by the first key, byte by byte, whatever the ids.
pub async fn accounts_come_in_the_order_of_their_keys(nodes: Nodes) {
    for (id, key) in [("3", "Zoe"), ("1", "ann"), ("4", "ä"), ("2", "hann_%\\")] {
        let claim = nodes
            .a
            .create_account(&new_account(id, &[key]), &audit("made", id))
            .await
            .unwrap();
        assert!(matches!(claim, Claim::Given(_)));
    }
    let ids = |found: Vec<Account>| found.iter().map(|a| a.person.id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        ids(nodes.b.accounts(None, None, 10).await.unwrap()),
        ["3", "1", "2", "4"]
    );
    assert_eq!(ids(nodes.b.accounts(None, None, 2).await.unwrap()), ["3", "1"]);
    assert_eq!(
        ids(nodes.b.accounts(None, Some("1"), 2).await.unwrap()),
        ["2", "4"]
    );
    assert_eq!(
        ids(nodes.b.accounts(Some("ann"), None, 10).await.unwrap()),
        ["1", "2"]
    );
    assert_eq!(
        ids(nodes.b.accounts(Some("ann"), Some("1"), 10).await.unwrap()),
        ["2"]
    );
    assert_eq!(
        ids(nodes.b.accounts(Some("_%\\"), None, 10).await.unwrap()),
        ["2"]
    );
    assert!(nodes.b.accounts(Some("n%"), None, 10).await.unwrap().is_empty());
    assert!(
        nodes
            .b
            .accounts(None, Some("nobody"), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

/// What looks like SQL or a path is a text like any other.
pub async fn every_character_comes_back(nodes: Nodes) {
    for (n, text) in [
        "'; DROP TABLE users; --",
        "../../etc/passwd",
        "$1",
        "🦀 \"x\" \\",
        "%_",
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("id{n} {text}");
        let mut new = new_account(&id, &[text]);
        new.person.name = text.into();
        let claim = nodes.a.create_account(&new, &audit("made", &id)).await.unwrap();
        assert!(matches!(claim, Claim::Given(_)), "{claim:?}");
        assert_eq!(nodes.b.account(&id).await.unwrap().unwrap().person, new.person);
        assert_eq!(
            nodes.b.login(text).await.unwrap().unwrap().account.person,
            new.person
        );
        assert_eq!(nodes.b.taken_names(&[text.to_owned()]).await.unwrap(), [text]);
    }
}
