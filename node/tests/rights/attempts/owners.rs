//! A room with members keeps an owner.

use actors::rights::{Role, Visibility};
use protocol::RoomName;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{cast::Cast, on_both_stores, support::*};

on_both_stores! {
    the_last_owner_stays
    two_owners_who_leave_at_once_do_not_both
}

async fn leaves(cast: &Cast, node: &Node, who: &str, room: &RoomName) -> Answer {
    cast.who(who)
        .delete(node, &format!("/rooms/{room}/members/me"))
        .await
}

async fn owners(cast: &Cast, room: &RoomName) -> (usize, usize) {
    let members = cast.stores.log.members(room).await.unwrap();
    let owners = members.iter().filter(|member| member.role == Some(Role::Owner));
    let all = members.iter().filter(|member| member.role.is_some());
    (owners.count(), all.count())
}

async fn the_last_owner_stays(place: Place) {
    let node = place.node(&[]).await;
    let cast = Cast::new(&place, &node, &["keeper", "other", "member", "administrator"]).await;
    let people = [("keeper", Role::Owner), ("member", Role::Member)];
    let room = cast.room(Visibility::Private, &people).await;
    leaves(&cast, &node, "keeper", &room)
        .await
        .refused(409, "conflict");
    let role = |who: &str| format!("/rooms/{room}/members/{}", cast.id(who));
    let keeper = cast.who("keeper");
    let root = cast.who("administrator");
    for lower in ["member", "moderator"] {
        let body = json!({ "role": lower });
        keeper
            .put(&node, &role("keeper"), body.clone())
            .await
            .refused(409, "conflict");
        root.put(&node, &role("keeper"), body)
            .await
            .refused(409, "conflict");
    }
    root.delete(&node, &role("keeper")).await.refused(409, "conflict");
    let ban = format!("/rooms/{room}/bans/{}", cast.id("keeper"));
    root.put(&node, &ban, json!({})).await.refused(409, "conflict");
    assert_eq!(owners(&cast, &room).await, (1, 2));

    keeper
        .put(&node, &role("member"), json!({ "role": "owner" }))
        .await
        .ok(200);
    leaves(&cast, &node, "keeper", &room).await.ok(200);
    leaves(&cast, &node, "member", &room).await.ok(200);
    assert_eq!(owners(&cast, &room).await, (0, 0), "who is alone may leave");
    for who in ["keeper", "member"] {
        let answer = cast.who(who).get(&node, &format!("/rooms/{room}")).await;
        answer.refused(404, "not_found");
    }
    let back = root
        .send(&node, Method::GET, &format!("/rooms/{room}"), Value::Null)
        .await;
    back.ok(200);
}

async fn two_owners_who_leave_at_once_do_not_both(place: Place) {
    let (a, b) = (place.node(&[]).await, place.node(&[]).await);
    let cast = Cast::new(&place, &a, &["keeper", "other", "member"]).await;
    let people = [
        ("keeper", Role::Owner),
        ("other", Role::Owner),
        ("member", Role::Member),
    ];
    for (what, first, second) in [("one node", &a, &a), ("two nodes", &a, &b)] {
        for round in 0..8 {
            let room = cast.room(Visibility::Private, &people).await;
            let (one, two) = tokio::join!(
                leaves(&cast, first, "keeper", &room),
                leaves(&cast, second, "other", &room)
            );
            let mut statuses = [one.status, two.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409], "on {what}, round {round}: {one:?} {two:?}");
            assert_eq!(owners(&cast, &room).await, (1, 2), "on {what}, round {round}");
        }
    }
}
