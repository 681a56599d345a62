//! `/livez` and `/readyz`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::gate::{Gate, NotReady};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The process runs and answers. Nothing else is looked at: a restart would not help against a store that is down.
pub(super) async fn live() -> Response {
    answer(
        StatusCode::OK,
        Health {
            status: "live",
            reason: None,
        },
    )
}

/// This node can serve clients. A bus that is down does not change it.
pub(super) async fn ready(State(gate): State<Arc<Gate>>) -> Response {
    match gate.readiness() {
        Ok(()) => answer(
            StatusCode::OK,
            Health {
                status: "ready",
                reason: None,
            },
        ),
        Err(reason) => {
            let reason = Some(match reason {
                NotReady::Starting => "starting: the store is not reached yet",
                NotReady::StoreDown => "the store does not answer",
                NotReady::Draining => "draining",
            });
            answer(
                StatusCode::SERVICE_UNAVAILABLE,
                Health {
                    status: "not ready",
                    reason,
                },
            )
        }
    }
}

fn answer(status: StatusCode, health: Health) -> Response {
    let mut response = (status, Json(health)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
