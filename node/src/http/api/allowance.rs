//! `RateLimit-*` headers: what is left of the limit that a request counted against. The names are those of the IETF's
//! draft "RateLimit header fields for HTTP", in the form of one field each that clients know.

use std::{sync::Arc, time::Duration};

use actors::bucket::Allowance;
use axum::{
    extract::Request,
    http::{Extensions, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use parking_lot::Mutex;

/// Where whoever counts a request leaves what is left, for the answer.
#[derive(Clone, Default)]
pub(super) struct Left(Arc<Mutex<Option<Allowance>>>);

impl Left {
    /// The one of this request.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    pub(super) fn set(&self, allowance: Option<Allowance>) {
        *self.0.lock() = allowance;
    }
}

/// Tells in the answer, whatever it is, what is left.
pub(super) async fn tell(mut request: Request, next: Next) -> Response {
    let left = Left::default();
    request.extensions_mut().insert(left.clone());
    let mut response = next.run(request).await;
    if let Some(allowance) = *left.0.lock() {
        response.headers_mut().extend(headers(&allowance));
    }
    response
}

/// How many there are, how many are left, and seconds until there are more.
fn headers(allowance: &Allowance) -> HeaderMap {
    let seconds = |time: Duration| time.as_millis().div_ceil(1_000);
    let fields = [
        ("ratelimit-limit", u128::from(allowance.limit)),
        ("ratelimit-remaining", u128::from(allowance.remaining)),
        ("ratelimit-reset", seconds(allowance.reset)),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| {
            let value = HeaderValue::from_str(&value.to_string()).ok()?;
            Some((HeaderName::from_static(name), value))
        })
        .collect()
}
