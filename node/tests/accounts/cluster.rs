//! What administrators see of the nodes.

use load_tests::client::Client;
use serde_json::{Value, json};

use super::administration::administrator;
use crate::{on_both_stores, support::*};

on_both_stores! {
    administrators_see_the_nodes
}

/// The nodes that `node` knows, as `person` sees them.
async fn nodes(person: &Person, node: &Node) -> Vec<Value> {
    let cluster = person.get(node, "/cluster").await.ok(200);
    cluster["nodes"].as_array().unwrap().clone()
}

async fn administrators_see_the_nodes(place: Place) {
    let short = ["cluster.lease_seconds=2", "drain.seconds=600"];
    let here = place.node(&[&short[..], &["node.name=here"]].concat()).await;
    let root = administrator(&place, &here, "Root").await;
    let ada = sign_up(&here, "Ada").await;
    ada.get(&here, "/cluster").await.refused(403, "forbidden");
    Person {
        token: String::new(),
        ..ada
    }
    .get(&here, "/cluster")
    .await
    .refused(401, "unauthenticated");

    let alone = root.get(&here, "/cluster").await.ok(200);
    let (known, mean) = (alone["nodes"].as_array().unwrap(), &alone["mean_connections"]);
    assert_eq!((known.len(), mean), (1, &json!(0.0)));
    let this = &known[0];
    assert_eq!(this["id"], "here");
    assert_eq!(this["this"], true);
    assert_eq!(this["draining"], false);
    assert_eq!(this["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        format!("http://{}", this["address"].as_str().unwrap()),
        here.origin()
    );
    assert!(this["since"].as_u64().unwrap() > 1_600_000_000_000);
    assert!((0.0..=1.0).contains(&this["load"].as_f64().unwrap()));

    let there = ["node.name=there", "node.address=10.0.0.7:80"];
    let there = place.node(&[&short[..], &there].concat()).await;
    let mut clients: Vec<Client> = Vec::new();
    for name in ["Ben", "Cem", "Dee"] {
        clients.push(enter(&there.socket().guest(name)).await);
    }
    until("the other node and its clients are seen", async || {
        let known = nodes(&root, &here).await;
        known.len() == 2 && known[1]["connections"] == 3
    })
    .await;
    let both = root.get(&here, "/cluster").await.ok(200);
    assert_eq!(both["mean_connections"], 1.5);
    let other = &both["nodes"][1];
    assert_eq!((&other["id"], &other["this"]), (&json!("there"), &json!(false)));
    assert_eq!(other["address"], "10.0.0.7:80");
    assert_eq!(here.metric("hubbub_cluster_nodes").await, 2.0);
    assert_eq!(
        nodes(&root, &there).await[0]["id"],
        "there",
        "the one that answers is first"
    );

    // Told to leave, it is not counted any more, and is gone when its clients are.
    let leaving = tokio::spawn(there.stop());
    until("the other node is seen leaving", async || {
        nodes(&root, &here).await[1]["draining"] == true
    })
    .await;
    let mean = &root.get(&here, "/cluster").await.ok(200)["mean_connections"];
    assert_eq!(*mean, 0.0);
    drop(clients);
    leaving.await.unwrap();
    until("the other node is gone", async || {
        nodes(&root, &here).await.len() == 1
    })
    .await;
    assert_eq!(here.metric("hubbub_lease_renewals_failed_total").await, 0.0);
}
