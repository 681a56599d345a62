//! The document of the API (OpenAPI 3.1), made of what stands beside each operation and what holds for all of them.

use axum::http::StatusCode;
use utoipa::openapi::{
    Content, Header, Info, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    path::{Operation, ParameterIn},
    schema::{Components, ComponentsBuilder, Type},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    server::ServerBuilder,
    tag::TagBuilder,
};

use super::schema::{codes, whole};

/// Where the API is.
const ROOT: &str = "/api/v1";
/// What the document says first.
const ABOUT: &str = "\
All that a connection of Hubbub does, for programs that do not hold one, and what only is done here.

Times are in Unix milliseconds. Text whose `format` is `utf8-N` has at most N bytes of UTF-8; `maxLength` counts \
characters and is only an upper bound of that. A `person-name` has at most 64 bytes, too, of letters of any script, \
digits, symbols and single spaces. A parameter that is not in this document is ignored, and so is a field; \
a field that is `null` is as absent.

Errors are problem details (RFC 9457) with a `code`. What answers 429 or 503 may be asked again after `Retry-After`. \
What counts against a limit (writing events, signing in and up, changing a password) says in every answer what is left of it: \
`RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds).";
/// The statuses of errors, what they are called here, and what they mean.
const PROBLEMS: [(u16, &str, &str); 9] = [
    (
        400,
        "BadRequest",
        "A parameter or the body is not as it should be; the detail names it",
    ),
    (
        401,
        "Unauthenticated",
        "No credential, or one that is not good here",
    ),
    (403, "Forbidden", "You may not do this"),
    (404, "NotFound", "There is no such thing that you may see"),
    (409, "Conflict", "It clashes with what is there"),
    (413, "TooLarge", "The body, or a text in it, is too large"),
    (429, "RateLimited", "Too fast"),
    (500, "Internal", "A fault of the server"),
    (503, "Overloaded", "This cannot be served at the moment"),
];
/// Headers that say what is left of a limit. The draft's names, as fields of their own.
const ALLOWANCE: [(&str, &str); 3] = [
    ("ratelimit-limit", "How many at once"),
    ("ratelimit-remaining", "How many are left"),
    ("ratelimit-reset", "Seconds until there are more"),
];

/// Adds to the operations what holds for all of them.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    document.info = Info::new("Hubbub", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(ABOUT.to_owned());
    document.servers = Some(vec![ServerBuilder::new().url(ROOT).build()]);
    document.security = Some(vec![
        SecurityRequirement::new("bearer", [""; 0]),
        SecurityRequirement::new("cookie", [""; 0]),
    ]);
    let tags = [
        "rooms",
        "messages",
        "members",
        "invites",
        "accounts",
        "sessions",
        "keys",
        "administration",
    ];
    document.tags = Some(tags.map(|name| TagBuilder::new().name(name).build()).into());
    let mut components = document
        .components
        .take()
        .unwrap_or_else(|| ComponentsBuilder::new().build());
    for (name, scheme) in schemes() {
        components.add_security_scheme(name, scheme);
    }
    for (status, name, meaning) in PROBLEMS {
        components
            .responses
            .insert(name.to_owned(), problem(status, meaning).into());
    }
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            complete(operation);
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                let needed = body
                    .content
                    .values()
                    .any(|content| needs_fields(content, &components));
                body.required = Some(if needed { Required::True } else { Required::False });
            }
        }
    }
    document.components = Some(components);
    document
}

/// Whether a body must be there: where no field is needed, it can be left out.
fn needs_fields(content: &RefOr<Content>, components: &Components) -> bool {
    let RefOr::T(Content {
        schema: Some(RefOr::Ref(named)),
        ..
    }) = content
    else {
        return true;
    };
    let name = named.ref_location.rsplit('/').next().unwrap_or_default();
    match components.schemas.get(name) {
        Some(RefOr::T(Schema::Object(object))) => !object.required.is_empty(),
        _ => true,
    }
}

fn complete(operation: &mut Operation) {
    let secured = operation.security.is_none();
    let has_body = operation.request_body.is_some();
    let mut parameters = operation.parameters.iter_mut().flatten().peekable();
    let mut possible = vec![500, 503];
    if has_body || parameters.peek().is_some() {
        possible.push(400);
    }
    if has_body {
        possible.push(413);
    }
    if secured {
        possible.extend([401, 403]);
    }
    for parameter in parameters {
        let RefOr::T(parameter) = parameter else { continue };
        match parameter.parameter_in {
            ParameterIn::Path => possible.push(404),
            // Only what makes a request safe to repeat must be there.
            _ if parameter.name != "cid" => parameter.required = Required::False,
            _ => {}
        }
    }
    let responses = &mut operation.responses.responses;
    for (status, name, _) in PROBLEMS {
        let key = status.to_string();
        if possible.contains(&status) || responses.contains_key(&key) {
            responses.insert(key, RefOr::Ref(Ref::from_response_name(name)));
        }
    }
}

/// An error's answer.
fn problem(status: u16, meaning: &str) -> Response {
    let title = StatusCode::from_u16(status).ok();
    let title = title
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    let word = |words: Vec<&str>| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(words))
    };
    let mut body = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("type", word(vec!["about:blank"]))
        .property("title", word(vec![title]))
        .property("status", whole(status.into(), status.into()))
        .property("code", word(codes(status)))
        .property("detail", ObjectBuilder::new().schema_type(Type::String))
        .required("type")
        .required("title")
        .required("status")
        .required("code")
        .required("detail");
    let mut response = ResponseBuilder::new().description(meaning);
    if matches!(status, 429 | 503) {
        let wait = whole(0, protocol::limits::MAX_SEQ);
        body = body
            .property("retry_after_ms", wait.clone())
            .required("retry_after_ms");
        response = response.header("retry-after", header(wait, "Seconds"));
    }
    if status == 401 {
        let scheme = ObjectBuilder::new().schema_type(Type::String).build();
        response = response.header("www-authenticate", header(scheme, "`Bearer`"));
    }
    if matches!(status, 401 | 429) {
        for (name, meaning) in ALLOWANCE {
            let meaning = format!("{meaning}; where the request counts against a limit");
            response = response.header(name, header(whole(0, u64::from(u32::MAX)), &meaning));
        }
    }
    let content = Content::new(Some(RefOr::T(Schema::Object(body.build()))));
    response.content("application/problem+json", content).build()
}

fn header(schema: impl Into<RefOr<Schema>>, meaning: &str) -> Header {
    let mut header = Header::new(schema);
    header.description = Some(meaning.to_owned());
    header
}

fn schemes() -> [(&'static str, SecurityScheme); 2] {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A session's token, an API key, a guest's token, or a JWT that the server takes",
        ));
    let cookie = ApiKeyValue::with_description(
        "hubbub_session",
        "What signing in sets. A request that changes something must then say where it comes from (`Origin`)",
    );
    [
        ("bearer", SecurityScheme::Http(bearer.build())),
        ("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
    ]
}
