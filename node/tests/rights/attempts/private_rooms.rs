//! A stranger who would read what is said among others.

use actors::{
    ports::Change,
    rights::{Role, Visibility},
};
use load_tests::client::{Client, Error};
use protocol::{Codec, Command, JoinFrom, Page, RoomName, ServerFrame, client::PageBound};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    cast::{Cast, said},
    on_both_stores,
    support::*,
};

on_both_stores! {
    a_stranger_finds_no_way_in
    a_private_room_looks_like_none
    a_link_is_good_for_its_room_and_as_long_as_it_lasts
    who_is_invited_may_come_in_and_nothing_else
    a_direct_room_is_found_by_its_people
    nobody_is_put_into_a_room_that_passes_for_a_direct_one
}

/// Stands in all that a stranger must not see.
const SECRET: &str = "xyzzy";
const CAST: [&str; 3] = ["keeper", "member", "stranger"];

/// A private room that the keeper made and spoke in: its name.
async fn secret_room(cast: &Cast) -> RoomName {
    let room = cast
        .room(
            Visibility::Private,
            &[("keeper", Role::Owner), ("member", Role::Member)],
        )
        .await;
    let change = protocol::RoomChange::Title;
    let value = protocol::event::RoomValue::Text(format!("Title {SECRET}").into());
    let entries = vec![
        ("keeper", said(&format!("Text {SECRET}"))),
        ("keeper", Change::Room { change, value }),
    ];
    cast.write(&room, entries).await;
    cast.link(&room, "keeper").await;
    room
}

/// Every command about a room, with something to refer to.
fn commands(room: &RoomName) -> Vec<Command> {
    let room = || room.clone();
    let cid = || "mine".into();
    let page = |bound| Page { bound, limit: 200 };
    let pages = [PageBound::Newest, PageBound::Before(9), PageBound::After(0)];
    let mut commands = vec![
        Command::Join {
            room: room(),
            from: JoinFrom::Newest(50),
        },
        Command::Join {
            room: room(),
            from: JoinFrom::After(0),
        },
        Command::Join {
            room: room(),
            from: JoinFrom::After(1_000_000),
        },
        Command::Presence { room: room() },
        Command::Typing { room: room() },
        Command::Read { room: room(), seq: 3 },
        Command::Send {
            room: room(),
            cid: cid(),
            text: "hello?".into(),
            reply_to: Some(3),
        },
        Command::Edit {
            room: room(),
            cid: cid(),
            seq: 3,
            text: "hello!".into(),
        },
        Command::Delete {
            room: room(),
            cid: cid(),
            seq: 3,
        },
        Command::React {
            room: room(),
            cid: cid(),
            seq: 3,
            emoji: "👀".into(),
            on: true,
        },
    ];
    commands.extend(pages.map(|bound| Command::History {
        room: room(),
        page: page(bound),
    }));
    commands
}

/// Every request about a room.
fn requests(room: &RoomName, member: &str) -> Vec<(Method, String, Value)> {
    let at = |path: &str| format!("/rooms/{room}{path}");
    let (get, put, delete) = (Method::GET, Method::PUT, Method::DELETE);
    let mut requests: Vec<(Method, String, Value)> = [
        "",
        "/events",
        "/events?after=0",
        "/events?before=9",
        "/members",
        "/people",
        "/invites",
    ]
    .map(|path| (get.clone(), at(path), Value::Null))
    .into();
    let cid = json!({ "cid": "mine", "text": "hello?", "reply_to": 3, "emoji": "👀", "on": true });
    requests.extend([
        (Method::POST, at("/messages"), cid.clone()),
        (put.clone(), at("/messages/3"), cid.clone()),
        (delete.clone(), at("/messages/3?cid=mine"), Value::Null),
        (Method::POST, at("/messages/3/reactions"), cid),
        (put.clone(), at("/members/me"), json!({})),
        (put.clone(), at("/members/me"), json!({ "role": "owner" })),
        (delete.clone(), at("/members/me"), Value::Null),
        (Method::POST, at("/members"), json!({ "user": member })),
        (delete.clone(), at(&format!("/members/{member}")), Value::Null),
        (put.clone(), at(&format!("/bans/{member}")), json!({})),
        (put, at(&format!("/mutes/{member}")), json!({})),
        (Method::POST, at("/invites"), json!({})),
        (delete, at(&format!("/invites/link-of-{room}")), Value::Null),
        (Method::PATCH, at(""), json!({ "visibility": "public" })),
    ]);
    requests
}

/// The code and the message of what must be a refusal.
async fn refused(client: &mut Client, command: Command) -> (String, String) {
    let what = format!("{command:?}");
    match client.request(command).await {
        Err(Error::Refused(refused)) => (refused.code.as_str().to_owned(), refused.message),
        other => panic!("{what}: {other:?}"),
    }
}

async fn a_stranger_finds_no_way_in(place: Place) {
    let node = place.node(&[]).await;
    let cast = Cast::new(&place, &node, &CAST).await;
    let room = secret_room(&cast).await;
    let before = cast.kept(&room).await;
    let stranger = cast.who("stranger");
    for codec in Codec::ALL {
        let options = node.socket().codec(codec).token(&stranger.token);
        let mut client = enter(&options).await;
        for command in commands(&room) {
            let op = command.op();
            let (code, message) = refused(&mut client, command).await;
            let said = match op {
                "join" | "presence" | "history" => "not_found",
                _ => "not_joined",
            };
            assert_eq!(code, said, "{op}");
            assert!(!message.contains(SECRET), "{message}");
        }
        // Nothing of the other room can be referred to from one's own.
        let own = RoomName::new("own").unwrap();
        client.join(&own, JoinFrom::Newest(0)).await.unwrap();
        for command in commands(&own)
            .into_iter()
            .filter(|command| command.cid().is_some())
        {
            assert_eq!(refused(&mut client, command).await.0, "not_found");
        }
        let epoch = client.welcome().unwrap().epoch.to_string();
        for position in [0, 3, 1_000_000] {
            let mut back = enter(&options.clone().resume(&epoch, &[(room.to_string(), position)])).await;
            let refused = back.welcome().unwrap().refused.clone().unwrap();
            assert_eq!(refused[room.as_str()], protocol::ErrorCode::NotFound);
            back.ping().await.unwrap();
            let mark = back.post(Command::Ping).await.unwrap();
            let next = back.next().await.unwrap();
            assert!(
                matches!(next, ServerFrame::Pong { id, .. } if id == Some(mark)),
                "{next:?}"
            );
        }
    }
    for (method, path, body) in requests(&room, cast.id("member")) {
        let what = format!("{method} {path}");
        let answer = stranger.send(&node, method, &path, body).await;
        answer.refused(404, "not_found");
        assert!(!answer.body.to_string().contains(SECRET), "{what}: {answer:?}");
    }
    for search in [SECRET, "title", room.as_str(), "%", "_", ""] {
        let list = stranger.get(&node, &format!("/rooms?search={search}")).await;
        let list = list.ok(200);
        assert!(!list.to_string().contains(room.as_str()), "{search}: {list}");
    }
    assert_eq!(cast.kept(&room).await, before, "nothing was written");
}

/// What is refused says the same of a room that one may not see and of one that there is not.
async fn a_private_room_looks_like_none(place: Place) {
    let node = place.node(&["rooms.create_on_join=false"]).await;
    let cast = Cast::new(&place, &node, &CAST).await;
    let room = secret_room(&cast).await;
    let none = RoomName::new("none-at-all").unwrap();
    let stranger = cast.who("stranger");
    let mut client = enter(&node.socket().token(&stranger.token)).await;
    for (there, not_there) in commands(&room).into_iter().zip(commands(&none)) {
        let op = there.op();
        let (code, message) = refused(&mut client, there).await;
        let message = message.replace(room.as_str(), none.as_str());
        assert_eq!((code, message), refused(&mut client, not_there).await, "{op}");
    }
    let member = cast.id("member");
    for (there, not_there) in requests(&room, member).into_iter().zip(requests(&none, member)) {
        let (method, path, body) = there;
        let what = format!("{method} {path}");
        let there = stranger.send(&node, method, &path, body).await;
        let (method, path, body) = not_there;
        let not_there = stranger.send(&node, method, &path, body).await;
        let detail = there.body["detail"]
            .as_str()
            .unwrap()
            .replace(room.as_str(), none.as_str());
        assert_eq!(not_there.body["detail"], detail, "{what}");
        assert_eq!(
            (there.status, &there.body["code"]),
            (not_there.status, &not_there.body["code"])
        );
    }
}

async fn a_link_is_good_for_its_room_and_as_long_as_it_lasts(place: Place) {
    let node = place.node(&[]).await;
    let cast = Cast::new(&place, &node, &CAST).await;
    let (secret, other) = (secret_room(&cast).await, secret_room(&cast).await);
    let (keeper, stranger) = (cast.who("keeper"), cast.who("stranger"));
    let path = format!("/rooms/{other}/invites");
    let link = keeper
        .send(&node, Method::POST, &path, json!({ "uses": 1 }))
        .await
        .ok(201);
    let by_link = async |who: &Person, token: &str| {
        who.send(&node, Method::POST, "/invites/accept", json!({ "token": token }))
            .await
    };
    let token = link["token"].as_str().unwrap();
    let id = link["id"].as_str().unwrap();
    for wrong in [
        id,
        "",
        "' OR 1=1 --",
        "../../x",
        &token[1..],
        &format!("{token} "),
    ] {
        by_link(stranger, wrong).await.refused(404, "not_found");
    }
    assert_eq!(by_link(stranger, token).await.ok(200)["room"], other.as_str());
    stranger
        .get(&node, &format!("/rooms/{secret}"))
        .await
        .refused(404, "not_found");
    // Who is sent out does not come back by a link that is used up.
    let member = format!("/rooms/{other}/members/{}", cast.id("stranger"));
    keeper.delete(&node, &member).await.ok(200);
    by_link(stranger, token).await.refused(404, "not_found");
    let revoked = keeper.send(&node, Method::POST, &path, json!({})).await.ok(201);
    let at = format!("{path}/{}", revoked["id"].as_str().unwrap());
    let elsewhere = at.replace(other.as_str(), secret.as_str());
    keeper.delete(&node, &elsewhere).await.refused(404, "not_found");
    assert_eq!(keeper.delete(&node, &at).await.status, 204);
    by_link(stranger, revoked["token"].as_str().unwrap())
        .await
        .refused(404, "not_found");
}

async fn who_is_invited_may_come_in_and_nothing_else(place: Place) {
    let node = place.node(&[]).await;
    let cast = Cast::new(&place, &node, &CAST).await;
    let room = secret_room(&cast).await;
    let (keeper, stranger) = (cast.who("keeper"), cast.who("stranger"));
    let members = format!("/rooms/{room}/members");
    let invitation = json!({ "user": stranger.id });
    keeper
        .send(&node, Method::POST, &members, invitation.clone())
        .await
        .ok(200);
    let again = keeper
        .send(&node, Method::POST, &members, invitation.clone())
        .await;
    assert_eq!(again.status, 204, "is so already: {again:?}");
    let before = cast.kept(&room).await;
    let comes_in = format!("{members}/me");
    for (method, path, body) in requests(&room, cast.id("member")) {
        if method == Method::PUT && path == comes_in && body["role"].is_null() {
            continue;
        }
        let what = format!("{method} {path} {body}");
        let answer = stranger.send(&node, method, &path, body).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (404, &json!("not_found")),
            "{what}"
        );
    }
    let mut client = enter(&node.socket().token(&stranger.token)).await;
    for command in commands(&room) {
        refused(&mut client, command).await;
    }
    assert_eq!(cast.kept(&room).await, before);
    let list = stranger.get(&node, "/rooms").await.ok(200);
    assert!(
        list.to_string().contains(room.as_str()),
        "that there is an invitation: {list}"
    );

    stranger.put(&node, &comes_in, json!({})).await.ok(200);
    client.join(&room, JoinFrom::Newest(0)).await.unwrap();
    keeper
        .delete(&node, &format!("{members}/{}", stranger.id))
        .await
        .ok(200);
    stranger
        .put(&node, &comes_in, json!({}))
        .await
        .refused(404, "not_found");
    // An invitation that is taken back is none.
    keeper
        .send(&node, Method::POST, &members, invitation)
        .await
        .ok(200);
    keeper
        .delete(&node, &format!("{members}/{}", stranger.id))
        .await
        .ok(200);
    stranger
        .put(&node, &comes_in, json!({}))
        .await
        .refused(404, "not_found");
}

async fn a_direct_room_is_found_by_its_people(place: Place) {
    let node = place.node(&[]).await;
    let cast = Cast::new(&place, &node, &CAST).await;
    let (keeper, member) = (cast.who("keeper"), cast.who("member"));
    let with = |id: &str| json!({ "users": [id] });
    let room = keeper
        .send(&node, Method::POST, "/directs", with(&member.id))
        .await
        .ok(201);
    assert_eq!(room["visibility"], "direct");
    let same = member
        .send(&node, Method::POST, "/directs", with(&keeper.id))
        .await
        .ok(200);
    assert_eq!(same["room"], room["room"], "whoever of them asks");
    let name = room["room"].as_str().unwrap();
    let stranger = cast.who("stranger");
    stranger
        .get(&node, &format!("/rooms/{name}"))
        .await
        .refused(404, "not_found");
}

/// Somebody knows the ids of two others and makes a room in the place of theirs.
async fn nobody_is_put_into_a_room_that_passes_for_a_direct_one(place: Place) {
    let node = place.node(&[]).await;
    let cast = Cast::new(&place, &node, &CAST).await;
    let (keeper, member) = (cast.who("keeper"), cast.who("member"));
    // The ids of people are no secret, and what can be reckoned from them is none.
    let mut ids = [&*keeper.id, &*member.id];
    ids.sort_unstable();
    for joint in ["\n", ",", ":", ""] {
        let digest = Sha256::digest(ids.join(joint));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        for length in [32, 40, 64 - "direct-".len()] {
            let body = json!({ "room": format!("direct-{}", &hex[..length]) });
            let made = cast
                .who("stranger")
                .send(&node, Method::POST, "/rooms", body)
                .await;
            made.ok(201);
        }
    }
    let with = json!({ "users": [member.id] });
    let direct = keeper.send(&node, Method::POST, "/directs", with).await.ok(201);
    assert_eq!(direct["visibility"], "direct");
}
