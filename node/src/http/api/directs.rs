//! Direct rooms: made for two or more people, and found again by the same ones.

use actors::{
    ports::NewRoom,
    rights::{Operation, Role, Visibility},
};
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hmac::{Hmac, Mac};
use protocol::{ErrorCode, Person, RoomName, client::check_label, limits::MAX_ID_BYTES};
use serde::Deserialize;
use sha2::Sha256;
use utoipa::ToSchema;

use super::schema as s;
use super::{
    caller::{Body, Caller, room_name, store_problem},
    rooms::Room,
    visitor::{field, internal},
};
use crate::http::problem::Problem;

/// The shared key that direct rooms are named by.
const NAMES_KEY: &str = "direct-rooms";
/// Somebody's id.
type UserId = s::Label<1, MAX_ID_BYTES>;
/// Most people in a direct room, with the one who makes it.
const MAX_PEOPLE: usize = 20;

/// Whom a direct room is for, beside the one who makes it.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewDirectRoom)]
pub(super) struct Make {
    #[schema(value_type = Vec<UserId>, inline, min_items = 1, max_items = 19)]
    users: Vec<String>,
}

/// The direct room of these people: 201 if it was made now, 200 if it was there.
#[utoipa::path(
    post,
    path = "/directs",
    operation_id = "openDirectRoom",
    tag = "rooms",
    summary = "The direct room of these people and you",
    request_body = Make,
    responses((status = 200, description = "It was there", body = Room, headers(("location" = String, description = "The room's address"))), (status = 201, description = "It was made", body = Room, headers(("location" = String, description = "The room's address"))), (status = 404, description = ""), (status = 409, description = ""), (status = 429, description = "")),
)]
pub(super) async fn make(caller: Caller, Body(body): Body<Make>) -> Result<Response, Problem> {
    caller.not_guest()?;
    if !caller.user.scopes.moderate {
        return Err(Problem::new(
            ErrorCode::Forbidden,
            "this API key is not good for `moderate`",
        ));
    }
    let people = caller.together(body.users).await?;
    let store = caller.serving.system.store();
    let key = store.shared_key(NAMES_KEY).await.map_err(store_problem)?;
    let name = name_of(&people, &key)?;
    caller.take_send()?;
    let room = NewRoom {
        title: title_of(&people).into(),
        visibility: Visibility::Direct,
        members: people.into_iter().map(|person| (person, Role::Member)).collect(),
        name: name.clone(),
    };
    let (_, made) = store.create_room(&room).await.map_err(store_problem)?;
    let (record, roster) = caller.room(&name, Operation::Read).await?;
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    let place = format!("/api/v1/rooms/{name}");
    let room = Json(caller.shown(record, &roster));
    Ok((status, [(header::LOCATION, place)], room).into_response())
}

impl Caller {
    /// The caller, first, and the others, each once.
    async fn together(&self, ids: Vec<String>) -> Result<Vec<Person>, Problem> {
        let mut people = vec![self.user.person.clone()];
        if ids.len() >= MAX_PEOPLE {
            let rule = format!("at most {} others", MAX_PEOPLE - 1);
            return Err(field("users", &rule));
        }
        for id in ids {
            check_label("users", &id, MAX_ID_BYTES)?;
            if people.iter().all(|person| *person.id != *id) {
                people.push(self.account(&id).await?);
            }
        }
        if people.len() < 2 {
            return Err(field("users", "must name somebody else"));
        }
        Ok(people)
    }
}

/// The same people have the same room, whoever of them asks. Its name cannot be reckoned from their ids: nobody makes
/// another room in its place.
fn name_of(people: &[Person], key: &[u8; 32]) -> Result<RoomName, Problem> {
    let mut ids: Vec<&str> = people.iter().map(|person| &*person.id).collect();
    ids.sort_unstable();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| internal())?;
    mac.update(ids.join("\n").as_bytes());
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    room_name("room", &format!("direct-{hex}"))
}

fn title_of(people: &[Person]) -> String {
    let names: Vec<&str> = people.iter().map(|person| &*person.name).collect();
    names.join(", ")
}
