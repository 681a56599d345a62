//! What an upgrade request must be like (RFC 6455 §4.2), and whom we let in with it.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use protocol::{Codec, ErrorCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{config::Origin, http::problem::Problem};

/// Query parameters that look like a credential: URLs end up in logs and histories.
const CREDENTIAL_PARAMETERS: [&str; 5] = ["token", "access_token", "authorization", "api_key", "jwt"];

/// Whether the request asks for a WebSocket at all, and in our version of it.
pub(super) fn wants_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, header::CONNECTION, "upgrade")
        && has_token(headers, header::UPGRADE, "websocket")
        && headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_some_and(|version| version == "13")
        && headers.contains_key(header::SEC_WEBSOCKET_KEY)
}

/// The value of `Sec-WebSocket-Accept`.
pub(super) fn accept_key(headers: &HeaderMap) -> String {
    derive_accept_key(
        headers
            .get(header::SEC_WEBSOCKET_KEY)
            .map_or(&[][..], |key| key.as_bytes()),
    )
}

/// Refuses a credential in the URL.
pub(super) fn check_url(uri: &Uri) -> Result<(), Problem> {
    let query = uri.query().unwrap_or_default();
    for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
        if CREDENTIAL_PARAMETERS
            .iter()
            .any(|credential| name.eq_ignore_ascii_case(credential))
        {
            let detail =
                format!("`{name}` does not belong into a URL; send it in hello or as Authorization: Bearer");
            return Err(Problem::new(ErrorCode::BadRequest, detail));
        }
    }
    Ok(())
}

/// The codec, and whether it is to be named in the answer: the first subprotocol offered that is known.
pub(super) fn choose_codec(headers: &HeaderMap) -> Result<(Codec, bool), Problem> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offered: Vec<&str> = values
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    if offered.is_empty() {
        return Ok((Codec::Json, false));
    }
    let known = offered
        .iter()
        .find_map(|subprotocol| Codec::from_subprotocol(subprotocol));
    known.map(|codec| (codec, true)).ok_or_else(|| {
        let ours = Codec::ALL.map(Codec::subprotocol).join(", ");
        Problem::new(
            ErrorCode::BadRequest,
            format!("no subprotocol that is known here; there are {ours}"),
        )
    })
}

/// Refuses a browser's request from a page of another site.
pub(in crate::http) fn check_origin(headers: &HeaderMap, allowed: &[Origin]) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let same_host = origin
        .split_once("://")
        .zip(host)
        .is_some_and(|((scheme, authority), host)| same_authority(scheme, authority, host));
    if same_host
        || allowed
            .iter()
            .any(|allowed| allowed.as_str().eq_ignore_ascii_case(origin))
    {
        return Ok(());
    }
    let detail = "this Origin is not allowed; an operator can add it to http.allowed_origins";
    Err(Problem::new(ErrorCode::Forbidden, detail).with_status(StatusCode::FORBIDDEN))
}

/// Host and port are compared. A browser leaves the scheme's own port out of both headers; a proxy may write it.
fn same_authority(scheme: &str, origin: &str, host: &str) -> bool {
    let default_port = if scheme.eq_ignore_ascii_case("https") {
        ":443"
    } else {
        ":80"
    };
    let bare = |authority: &str| {
        authority
            .strip_suffix(default_port)
            .unwrap_or(authority)
            .to_ascii_lowercase()
    };
    bare(origin) == bare(host)
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn origins() {
        let allowed = [Origin::parse("https://app.example").unwrap()];
        let check = |origin: &str, host: &str| {
            check_origin(&headers(&[("origin", origin), ("host", host)]), &allowed).is_ok()
        };
        assert!(check("http://chat.example:8080", "chat.example:8080"));
        assert!(
            check("https://chat.example:8080", "chat.example:8080"),
            "the scheme is not compared"
        );
        assert!(check("https://chat.example", "chat.example:443"));
        assert!(
            check("https://app.example", "chat.example"),
            "allowed by the operator"
        );
        assert!(!check("https://chat.example:8080", "chat.example"));
        assert!(!check("https://evil.example", "chat.example"));
        assert!(!check("https://chat.example.evil.example", "chat.example"));
        assert!(!check("null", "chat.example"));
        assert!(!check("null", "null"));
        assert!(
            check_origin(&headers(&[("host", "chat.example")]), &[]).is_ok(),
            "programs send none"
        );
    }

    #[test]
    fn subprotocols() {
        let choose = |offer: &str| choose_codec(&headers(&[("sec-websocket-protocol", offer)])).ok();
        assert_eq!(
            choose("hubbub.v1.msgpack, hubbub.v1.json"),
            Some((Codec::Msgpack, true))
        );
        assert_eq!(choose("other, hubbub.v1.json"), Some((Codec::Json, true)));
        assert_eq!(choose("other"), None);
        assert_eq!(choose_codec(&HeaderMap::new()).ok(), Some((Codec::Json, false)));
    }

    #[test]
    fn credentials_in_the_url() {
        for bad in [
            "/ws?token=x",
            "/ws?a=1&Access_Token=x",
            "/ws?jwt",
            "/ws?api_key=&b",
            "/ws?authorization=B",
            "/ws?t%6Fken=x",
        ] {
            assert!(check_url(&bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in ["/ws", "/ws?", "/ws?room=token", "/ws?tokens=1"] {
            assert!(check_url(&good.parse().unwrap()).is_ok(), "{good}");
        }
    }
}
