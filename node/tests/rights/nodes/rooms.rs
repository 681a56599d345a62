//! Rights in a room.

use actors::rights::{Role, Visibility};
use protocol::{Codec, Command, Event, EventBody, MemberChange, RoomChange, RoomName, event::RoomValue};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Pair,
    watch::{Watch, text_of},
};
use crate::{cast::said, support::*};

/// One case after the other.
pub(super) async fn everything(pair: &Pair) {
    for (codec, visibility, code) in [
        (Codec::Json, Visibility::Public, "banned"),
        (Codec::Msgpack, Visibility::Private, "not_found"),
    ] {
        pair.who_is_banned_is_out(codec, visibility, code).await;
        pair.who_is_sent_out_is_out(codec, visibility).await;
    }
    pair.who_watches_a_room_that_becomes_private_is_out().await;
    pair.who_has_no_connection_is_out_as_soon().await;
    pair.a_moderator_is_none_any_more().await;
    pair.who_is_muted_reads_and_is_silent().await;
    pair.an_archive_is_not_written_to().await;
    pair.what_is_deleted_is_gone_everywhere().await;
}

impl Pair {
    async fn room(&self, visibility: Visibility) -> RoomName {
        let people = [
            ("keeper", Role::Owner),
            ("moderator", Role::Moderator),
            ("witness", Role::Member),
            ("victim", Role::Member),
        ];
        self.cast.room(visibility, &people).await
    }

    async fn watch(&self, who: &str, codec: Codec, room: &RoomName) -> Watch {
        Watch::begin(&self.b, self.cast.who(who), codec, room).await
    }

    /// What the keeper does on the other node.
    async fn keeper(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.cast.who("keeper").send(&self.a, method, path, body).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
        answer.body
    }

    async fn keeper_says(&self, room: &RoomName, text: &str) {
        let body = json!({ "cid": format!("{:016x}", fastrand::u64(..)), "text": text });
        self.keeper(Method::POST, &format!("/rooms/{room}/messages"), body)
            .await;
    }

    /// The keeper does something that closes the room for who watches, and speaks on. Who watches is shown the event
    /// that says why, and nothing behind it; the witness goes on.
    async fn closes(
        &self,
        what: &str,
        (mut out, mut witness): (Watch, Watch),
        (method, path, body): (Method, &str, Value),
        meant: impl Fn(&Event) -> bool,
    ) -> Watch {
        let begun = Instant::now();
        self.keeper(method, path, body).await;
        self.keeper_says(&out.room, "among us").await;
        let (_, behind) = out.shown(what, meant).await;
        self.took(what, begun.elapsed());
        assert!(behind.is_empty(), "{what}, and then {behind:?}");
        witness.reads("among us").await;
        self.keeper_says(&out.room, "still among us").await;
        witness.reads("still among us").await;
        out.is_quiet().await;
        assert_eq!(out.sends("let me in").await, "not_joined", "{what}");
        let (room, seq) = (out.room.clone(), 1);
        assert_eq!(
            out.says(Command::Read { room, seq }).await,
            "not_joined",
            "{what}"
        );
        let room = out.room.clone();
        assert_eq!(out.says(Command::Typing { room }).await, "not_joined", "{what}");
        out
    }

    /// Every way to read is refused with that code.
    async fn stays_out(&self, who: &str, out: &mut Watch, code: &str) {
        assert_eq!(out.joins().await, code);
        assert_eq!(out.reads_history().await, code);
        let room = out.room.clone();
        assert_eq!(out.says(Command::Presence { room }).await, code);
        assert_eq!(out.resumes().await, code);
        let person = self.cast.who(who);
        for node in [&self.a, &self.b] {
            for what in ["", "/events", "/members", "/people"] {
                let answer = person.get(node, &format!("/rooms/{}{what}", out.room)).await;
                assert_eq!(answer.body["code"], code, "{what}: {answer:?}");
            }
        }
    }

    async fn who_is_banned_is_out(&self, codec: Codec, visibility: Visibility, code: &str) {
        let room = self.room(visibility).await;
        let victim = self.watch("victim", codec, &room).await;
        let witness = self.watch("witness", codec, &room).await;
        let path = format!("/rooms/{room}/bans/{}", self.cast.id("victim"));
        let ban = (Method::PUT, path.as_str(), json!({ "reason": "rude" }));
        let meant = member(MemberChange::Banned, self.cast.id("victim"));
        let mut out = self.closes("a ban", (victim, witness), ban, meant).await;
        self.stays_out("victim", &mut out, code).await;
        self.keeper(Method::DELETE, &path, Value::Null).await;
        if visibility == Visibility::Public {
            let path = format!("/rooms/{room}/events");
            let victim = self.cast.who("victim");
            until("the ban is over", async || {
                victim.get(&self.b, &path).await.status == 200
            })
            .await;
            assert_eq!(out.joins().await, "ok");
        } else {
            assert_eq!(out.joins().await, code, "the role is gone");
        }
    }

    async fn who_is_sent_out_is_out(&self, codec: Codec, visibility: Visibility) {
        let room = self.room(visibility).await;
        let victim = self.watch("victim", codec, &room).await;
        let witness = self.watch("witness", codec, &room).await;
        let path = format!("/rooms/{room}/members/{}?reason=rude", self.cast.id("victim"));
        let kick = (Method::DELETE, path.as_str(), Value::Null);
        let meant = member(MemberChange::Removed, self.cast.id("victim"));
        let mut out = self.closes("sending out", (victim, witness), kick, meant).await;
        if visibility == Visibility::Public {
            assert_eq!(
                out.joins().await,
                "ok",
                "of a public room anybody may come back to"
            );
        } else {
            self.stays_out("victim", &mut out, "not_found").await;
        }
    }

    async fn who_watches_a_room_that_becomes_private_is_out(&self) {
        let room = self.room(Visibility::Public).await;
        let stranger = self.watch("stranger", Codec::Msgpack, &room).await;
        let witness = self.watch("witness", Codec::Json, &room).await;
        let path = format!("/rooms/{room}");
        let change = (Method::PATCH, path.as_str(), json!({ "visibility": "private" }));
        let meant = |event: &Event| {
            let private = RoomValue::Text("private".into());
            let change = RoomChange::Visibility;
            event.body
                == EventBody::Room {
                    change,
                    value: private,
                }
        };
        let mut out = self
            .closes("a room made private", (stranger, witness), change, meant)
            .await;
        self.stays_out("stranger", &mut out, "not_found").await;
    }

    async fn who_has_no_connection_is_out_as_soon(&self) {
        let room = self.room(Visibility::Private).await;
        let path = format!("/rooms/{room}/events");
        let victim = self.cast.who("victim");
        victim.get(&self.b, &path).await.ok(200);
        let begun = Instant::now();
        let member = format!("/rooms/{room}/members/{}", self.cast.id("victim"));
        self.keeper(Method::DELETE, &member, Value::Null).await;
        until("events are refused over HTTP", async || {
            victim.get(&self.b, &path).await.status == 404
        })
        .await;
        self.took("sending out who has no connection", begun.elapsed());
    }

    async fn a_moderator_is_none_any_more(&self) {
        let room = self.room(Visibility::Private).await;
        let messages = vec![("witness", said("one")), ("witness", said("two"))];
        let seqs = self.cast.write(&room, messages).await;
        let mut moderator = self.watch("moderator", Codec::Json, &room).await;
        let delete = |cid: &str, seq| Command::Delete {
            room: room.clone(),
            cid: cid.into(),
            seq,
        };
        assert_eq!(moderator.says(delete("one", seqs[0])).await, "ok");
        let path = format!("/rooms/{room}/members/{}", self.cast.id("moderator"));
        let begun = Instant::now();
        self.keeper(Method::PUT, &path, json!({ "role": "member" })).await;
        let meant = member(MemberChange::Role, self.cast.id("moderator"));
        moderator.shown("the role", meant).await;
        self.took("a role taken away", begun.elapsed());
        assert_eq!(moderator.says(delete("two", seqs[1])).await, "forbidden");
        assert_eq!(moderator.sends("as anybody").await, "ok");
        let person = self.cast.who("moderator");
        let topic = json!({ "topic": "mine" });
        let answer = person
            .send(&self.b, Method::PATCH, &format!("/rooms/{room}"), topic)
            .await;
        answer.refused(403, "forbidden");
    }

    async fn who_is_muted_reads_and_is_silent(&self) {
        let room = self.room(Visibility::Public).await;
        let mut victim = self.watch("victim", Codec::Msgpack, &room).await;
        assert_eq!(victim.sends("loud").await, "ok");
        let path = format!("/rooms/{room}/mutes/{}", self.cast.id("victim"));
        let begun = Instant::now();
        self.keeper(Method::PUT, &path, json!({ "reason": "loud" })).await;
        let id = self.cast.id("victim");
        victim.shown("the mute", member(MemberChange::Muted, id)).await;
        self.took("a mute", begun.elapsed());
        assert_eq!(victim.sends("louder").await, "muted");
        let of_room = || room.clone();
        assert_eq!(victim.says(Command::Typing { room: of_room() }).await, "muted");
        assert_eq!(
            victim
                .says(Command::Read {
                    room: of_room(),
                    seq: 1
                })
                .await,
            "ok"
        );
        self.keeper_says(&room, "silence").await;
        victim.reads("silence").await;
        self.keeper(Method::DELETE, &path, Value::Null).await;
        victim
            .shown("the end of it", member(MemberChange::Unmuted, id))
            .await;
        assert_eq!(victim.sends("softly").await, "ok");
    }

    async fn an_archive_is_not_written_to(&self) {
        let room = self.room(Visibility::Public).await;
        let mut victim = self.watch("victim", Codec::Json, &room).await;
        let begun = Instant::now();
        self.keeper(
            Method::PATCH,
            &format!("/rooms/{room}"),
            json!({ "archived": true }),
        )
        .await;
        let meant = |event: &Event| {
            let (change, value) = (RoomChange::Archived, RoomValue::Switch(true));
            event.body == EventBody::Room { change, value }
        };
        victim.shown("the archive", meant).await;
        self.took("an archive", begun.elapsed());
        assert_eq!(victim.sends("one more").await, "archived");
        assert_eq!(victim.reads_history().await, "ok");
    }

    async fn what_is_deleted_is_gone_everywhere(&self) {
        let room = self.room(Visibility::Public).await;
        let mut victim = self.watch("victim", Codec::Msgpack, &room).await;
        assert_eq!(victim.sends("a word that is regretted").await, "ok");
        let sent = victim.shown("it", |event| text_of(event).is_some()).await.0;
        let edit = Command::Edit {
            room: room.clone(),
            cid: "better".into(),
            seq: sent.seq,
            text: "a better word, regretted as well".into(),
        };
        assert_eq!(victim.says(edit).await, "ok");
        let path = format!("/rooms/{room}/messages/{}?cid=gone", sent.seq);
        let begun = Instant::now();
        self.keeper(Method::DELETE, &path, Value::Null).await;
        let target = sent.seq;
        victim
            .shown("that it is gone", |event| {
                event.body == EventBody::Delete { target }
            })
            .await;
        self.took("a deletion", begun.elapsed());
        for node in [&self.a, &self.b] {
            let person = self.cast.who("stranger");
            let page = person.get(node, &format!("/rooms/{room}/events")).await.ok(200);
            assert!(!page.to_string().contains("regretted"), "{page}");
            let mut late = Watch::begin(node, person, Codec::Json, &room).await;
            let from = protocol::JoinFrom::After(0);
            late.client.join(&room, from).await.unwrap();
            let replayed = late.shown("the replay", |event| event.seq == target).await.0;
            let EventBody::Message { text, deleted, .. } = replayed.body else {
                panic!("{replayed:?}")
            };
            assert_eq!((&*text, deleted), ("", true));
        }
    }
}

fn member(meant: MemberChange, id: &str) -> impl Fn(&Event) -> bool {
    move |event| matches!(&event.body, EventBody::Member { change, who, .. } if *change == meant && *who.id == *id)
}
