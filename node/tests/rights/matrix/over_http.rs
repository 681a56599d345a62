//! Cells tried over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Scene, Tried,
    stage::{GIVEN, Stage, Writes},
    table::Cell,
};
use crate::support::Answer;

/// A request, and what it writes if it is done.
struct Step {
    method: Method,
    path: String,
    body: Value,
    writes: Writes,
    said: &'static str,
}

/// Does all that the cell is about.
pub(super) async fn attempt(scene: &Scene, cell: &Cell) -> Vec<Tried> {
    let mut stage = Stage::set(scene, cell).await;
    let person = scene.cast.who(cell.who);
    for step in steps(scene, cell, &stage) {
        let before = stage.kept().await;
        let Step {
            method, path, body, ..
        } = step;
        let what = format!("{method} {path} {body}");
        let answer = person.send(&scene.node, method, &path, body).await;
        let is = outcome(&answer);
        stage.note(&what, &is, step.said, step.writes, before).await;
    }
    if cell.operation == "read" {
        list(scene, cell, &mut stage).await;
    }
    stage.tried
}

/// `yes` or the code of the refusal, which comes with the status that belongs to it.
fn outcome(answer: &Answer) -> String {
    if (200..300).contains(&answer.status) {
        return "yes".to_owned();
    }
    let code = answer.body["code"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer:?}"));
    let status = match code {
        "forbidden" | "banned" | "muted" => 403,
        "not_found" => 404,
        "archived" | "conflict" => 409,
        other => return format!("{other}, which is no refusal for want of rights"),
    };
    answer.refused(status, code);
    code.to_owned()
}

/// A room that somebody may not know of is in no list.
async fn list(scene: &Scene, cell: &Cell, stage: &mut Stage<'_>) {
    let before = stage.kept().await;
    let path = format!("/rooms?limit=200&search={}", stage.room);
    let page = scene.cast.who(cell.who).get(&scene.node, &path).await.ok(200);
    let rooms = page["rooms"].as_array().unwrap();
    let listed = rooms.iter().any(|room| room["room"] == stage.room.as_str());
    let is = if listed { "listed" } else { "not listed" };
    let said = if cell.said == "not_found" {
        "not listed"
    } else {
        "listed"
    };
    stage
        .note("the list", "yes", "yes", Writes::Nothing, before)
        .await;
    stage.tried.push(Tried {
        what: path,
        is: is.to_owned(),
        said,
    });
}

fn steps(scene: &Scene, cell: &Cell, stage: &Stage<'_>) -> Vec<Step> {
    let room = format!("/rooms/{}", stage.room);
    let message = |seq: u64| format!("{room}/messages/{seq}");
    let step = |method: Method, path: String, body: Value, writes: Writes| Step {
        method,
        path,
        body,
        writes,
        said: cell.said,
    };
    let get = |path: &str| step(Method::GET, format!("{room}{path}"), Value::Null, Writes::Nothing);
    let put = |path: String, body: Value| step(Method::PUT, path, body, Writes::OneEvent);
    let delete = |path: String| step(Method::DELETE, path, Value::Null, Writes::OneEvent);
    let patch = |body: Value| step(Method::PATCH, room.clone(), body, Writes::OneEvent);
    let of_other = |what: &str| format!("{room}/{what}/{}", scene.cast.id("other"));
    let is_member = matches!(cell.who, "member" | "muted" | "moderator" | "owner");
    let (becomes, ends) = if is_member {
        (Writes::Nothing, Writes::OneEvent)
    } else {
        (Writes::OneEvent, Writes::Nothing)
    };
    match cell.operation {
        "read" => vec![get(""), get("/events"), get("/members"), get("/people")],
        "send" => {
            let to = format!("{room}/messages");
            let reply = json!({ "cid": "two", "text": "b", "reply_to": stage.others });
            vec![
                step(
                    Method::POST,
                    to.clone(),
                    json!({ "cid": "one", "text": "a" }),
                    Writes::OneEvent,
                ),
                step(Method::POST, to, reply, Writes::OneEvent),
            ]
        }
        "edit, react" => {
            let edit = |cid: &str| json!({ "cid": cid, "text": "another word" });
            let react = |seq: u64, cid: &str, on: bool| {
                let body = json!({ "cid": cid, "emoji": GIVEN, "on": on });
                step(
                    Method::POST,
                    format!("{}/reactions", message(seq)),
                    body,
                    Writes::OneEvent,
                )
            };
            vec![
                put(message(stage.first), edit("one")),
                Step {
                    said: super::another(cell.said),
                    ..put(message(stage.others), edit("two"))
                },
                react(stage.others, "three", true),
                react(stage.second, "four", false),
            ]
        }
        "delete one's own" => vec![delete(format!("{}?cid=one", message(stage.first)))],
        "delete another's" => vec![delete(format!("{}?cid=one", message(stage.others)))],
        "become a member" => vec![step(
            Method::PUT,
            format!("{room}/members/me"),
            json!({}),
            becomes,
        )],
        "become one by link" => {
            let body = json!({ "token": stage.link });
            vec![step(Method::POST, "/invites/accept".to_owned(), body, becomes)]
        }
        "leave" => vec![step(
            Method::DELETE,
            format!("{room}/members/me"),
            Value::Null,
            ends,
        )],
        "invite" => {
            let body = json!({ "user": scene.cast.id("newcomer") });
            vec![step(
                Method::POST,
                format!("{room}/members"),
                body,
                Writes::OneEvent,
            )]
        }
        "invite links" => vec![
            get("/invites"),
            step(
                Method::POST,
                format!("{room}/invites"),
                json!({ "uses": 1 }),
                Writes::Nothing,
            ),
            step(
                Method::DELETE,
                format!("{room}/invites/{}", stage.link),
                Value::Null,
                Writes::Nothing,
            ),
        ],
        "send out" => vec![delete(format!("{}?reason=rude", of_other("members")))],
        "ban" => vec![
            put(of_other("bans"), json!({ "reason": "rude" })),
            delete(of_other("bans")),
        ],
        "mute" => vec![
            put(of_other("mutes"), json!({ "reason": "loud" })),
            delete(of_other("mutes")),
        ],
        "give a role" => ["moderator", "owner", "member"]
            .map(|role| put(of_other("members"), json!({ "role": role })))
            .into(),
        "topic" => vec![patch(json!({ "topic": "weather" }))],
        "title" => vec![patch(json!({ "title": "Weather" }))],
        "slow mode" => vec![
            patch(json!({ "slow_mode": 30 })),
            patch(json!({ "slow_mode": 0 })),
        ],
        "visibility" => {
            let (there, back) = if cell.table == "Private rooms" {
                ("public", "private")
            } else {
                ("private", "public")
            };
            vec![
                patch(json!({ "visibility": there })),
                patch(json!({ "visibility": back })),
            ]
        }
        "archive" => {
            let there = cell.table != "Archived rooms";
            vec![
                patch(json!({ "archived": there })),
                patch(json!({ "archived": !there })),
            ]
        }
        other => panic!("docs/rights.md has a row that is no operation: {other}"),
    }
}
