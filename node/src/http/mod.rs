//! The two listeners: the public one for clients, the private one for the operator's tools.

mod admission;
mod api;
mod client_address;
mod credentials;
pub(crate) mod gate;
mod health;
pub(crate) mod listener;
mod problem;
mod turns;
mod ui;
mod ws;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use protocol::ErrorCode;

use self::{gate::Gate, problem::Problem};

/// What clients reach.
pub(crate) fn public(gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/ws", get(ws::upgrade))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .nest("/api/v1", api::routes())
        .merge(ui::router())
        .fallback(|| async { Problem::no_such_address() })
        .method_not_allowed_fallback(|| async { Problem::no_such_method() })
        .layer(middleware::map_response_with_state(
            Arc::clone(&gate),
            count_errors,
        ))
        .with_state(gate)
}

/// What Prometheus and the operator reach.
pub(crate) fn private(gate: Arc<Gate>, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/metrics", get(move || async move { scrape(&metrics) }))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(|| async { Problem::no_such_address() })
        .method_not_allowed_fallback(|| async { Problem::no_such_method() })
        .with_state(gate)
}

/// Every refusal is counted by its code, wherever it was made.
async fn count_errors(State(gate): State<Arc<Gate>>, response: Response) -> Response {
    if let Some(code) = response.extensions().get::<ErrorCode>() {
        gate.metrics.errors(*code).increment(1);
    }
    response
}

fn scrape(metrics: &PrometheusHandle) -> Response {
    let mut response = metrics.render().into_response();
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
