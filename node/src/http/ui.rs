//! The page at `/`: files of `node/ui`, served from the binary.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::{Path, rejection::PathRejection},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// The page loads nothing from elsewhere, runs no inline script, and is framed by nobody.
const CONTENT_SECURITY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal: $media_type:literal,)*) => {
        &[$((
            $name,
            concat!($media_type, "; charset=utf-8"),
            include_bytes!(concat!("../../ui/", $name)),
        ),)*]
    };
}

const FILES: &[(&str, &str, &[u8])] = files! {
    "index.html": "text/html",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript",
    "composer.js": "text/javascript",
    "identity.js": "text/javascript",
    "outbox.js": "text/javascript",
    "page.js": "text/javascript",
    "room.js": "text/javascript",
    "timeline.js": "text/javascript",
    "wire.js": "text/javascript",
};

/// `GET /` is the page, `GET /ui/{file}` what it consists of. Browsers may keep a copy but ask each time whether it is
/// still the present one, so that page and node always fit together.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|headers| async move { serve("index.html", &headers) }))
        .route("/ui/{file}", get(file))
}

async fn file(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Response {
    serve(name.as_deref().map_or("", String::as_str), &headers)
}

fn serve(name: &str, request: &HeaderMap) -> Response {
    let Some(file) = SERVED.iter().find(|file| file.name == name) else {
        return Problem::no_such_address().into_response();
    };
    let headers = [
        (ETAG, file.etag.clone()),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY),
        ),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            CROSS_ORIGIN_OPENER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
    ];
    if knows(request, &file.etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, file.media_type)], file.content).into_response()
}

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

struct Served {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
    etag: HeaderValue,
}

static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(name, media_type, content)| Served {
            name,
            media_type,
            content,
            etag: etag(content),
        })
        .collect()
});

fn etag(content: &[u8]) -> HeaderValue {
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(content));
    // Base64 is always a valid header value; an empty tag would only cost the cache its use.
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether the client has the present content. A proxy may have made the tag a weak one, which is as good here.
fn knows(request: &HeaderMap, etag: &HeaderValue) -> bool {
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use reqwest::Client;

    use super::*;

    async fn start() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router::<()>()).await });
        address
    }

    #[tokio::test]
    async fn every_file_is_served_with_its_type_and_strict_headers() {
        let address = start().await;
        for (name, media_type, content) in FILES {
            let path = if *name == "index.html" {
                String::new()
            } else {
                format!("ui/{name}")
            };
            let answer = Client::new()
                .get(format!("http://{address}/{path}"))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 200, "{name}");
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("content-type"), *media_type, "{name}");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert_eq!(header("cache-control"), "no-cache");
            let policy = header("content-security-policy");
            assert!(
                policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert_eq!(answer.bytes().await.unwrap(), *content, "{name}");
        }
    }

    #[tokio::test]
    async fn a_copy_that_is_still_right_is_not_sent_again() {
        let address = start().await;
        let url = format!("http://{address}/");
        let etag = Client::new().get(&url).send().await.unwrap().headers()["etag"].clone();
        let tag = etag.to_str().unwrap();
        for (sent, status) in [
            (tag.to_owned(), 304),
            (format!("\"other\", W/{tag}"), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let request = Client::new().get(&url).header("if-none-match", &sent);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), status, "{sent}");
            assert_eq!(answer.headers()["etag"], etag);
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found() {
        let address = start().await;
        for path in ["ui/nothing.js", "ui/..%2fCargo.toml", "ui/"] {
            let answer = reqwest::get(format!("http://{address}/{path}")).await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
    }

    /// The page asks for nothing that is not served, and its policy forbids inline code and styles.
    #[test]
    fn all_that_the_files_refer_to_is_there() {
        let served: Vec<String> = FILES.iter().map(|(name, ..)| format!("/ui/{name}")).collect();
        for (name, _, content) in FILES {
            let text = std::str::from_utf8(content).unwrap();
            for marker in ["\"/ui/", "from \"./"] {
                for rest in text.split(marker).skip(1) {
                    let (file, _) = rest.split_once('"').unwrap();
                    assert!(served.contains(&format!("/ui/{file}")), "{name} refers to {file}");
                }
            }
            for inline in ["innerHTML", "style=", " onclick=", "<style"] {
                assert!(!text.contains(inline), "{name} has {inline}");
            }
        }
    }
}
