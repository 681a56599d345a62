//! The credentials in a request's headers: `Authorization: Bearer …` (RFC 6750 §2.1) and the session's cookie.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;
use protocol::{ErrorCode, limits::MAX_TOKEN_BYTES};

use super::problem::Problem;
use crate::auth::Presented;

/// The cookie that holds a session's token.
const COOKIE: &str = "hubbub_session";
/// Cookies of that name that are looked at: pages of other hosts in the same domain can add some.
const MAX_COOKIES: usize = 4;
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The credentials of the request.
///
/// # Errors
/// With 401 when there is an `Authorization` that is no bearer token of at most [`MAX_TOKEN_BYTES`].
pub(super) fn presented(headers: &HeaderMap) -> Result<Presented, Problem> {
    Ok(Presented {
        bearer: bearer(headers)?.map(str::to_owned),
        cookies: cookies(headers).take(MAX_COOKIES).map(str::to_owned).collect(),
    })
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()));
    match token {
        Some(token) if !token.is_empty() && token.len() <= MAX_TOKEN_BYTES => Ok(Some(token)),
        _ => {
            let detail = format!("Authorization must be `Bearer TOKEN` with at most {MAX_TOKEN_BYTES} bytes");
            Err(Problem::new(ErrorCode::Unauthenticated, detail))
        }
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, value)| *name == COOKIE && value.len() <= MAX_TOKEN_BYTES)
        .map(|(_, value)| value)
}

/// `Set-Cookie` with a session's token; without one, it takes the cookie away. Scripts cannot read it, and other sites'
/// requests do not carry it, but for following a link.
pub(super) fn set_cookie(token: Option<(&str, Duration)>, secure: bool) -> Option<HeaderValue> {
    let (token, seconds) = token.map_or(("", 0), |(token, lasts)| (token, lasts.as_secs()));
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&cookie).ok()
}

/// Whether the client came by https, as a proxy that we trust says.
pub(super) fn is_https(peer: std::net::IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|net| net.contains(&peer))
        && headers
            .get(FORWARDED_PROTO)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(',').next_back())
            .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn cookies_are_found_among_others() {
        let headers = headers(&[
            ("cookie", "a=b; hubbub_session=one; x"),
            ("cookie", "hubbub_session=two;hubbub_session2=three"),
        ]);
        assert_eq!(presented(&headers).ok().unwrap().cookies, ["one", "two"]);
    }

    #[test]
    fn a_proxy_is_believed_only_if_it_is_trusted() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let https = headers(&[("x-forwarded-proto", "https")]);
        assert!(is_https("10.0.0.1".parse().unwrap(), &https, &trusted));
        assert!(!is_https("192.0.2.1".parse().unwrap(), &https, &trusted));
        let http = headers(&[("x-forwarded-proto", "https, http")]);
        assert!(!is_https("10.0.0.1".parse().unwrap(), &http, &trusted));
    }

    #[test]
    fn what_the_cookie_says() {
        let cookie = set_cookie(Some(("hs1_x", Duration::from_secs(60))), true).unwrap();
        assert_eq!(
            cookie,
            "hubbub_session=hs1_x; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
        assert_eq!(
            set_cookie(None, false).unwrap(),
            "hubbub_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }
}
