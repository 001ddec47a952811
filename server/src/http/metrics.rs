//! `/metrics`, on a listener of its own: how an instance is used is nobody's business outside.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

/// How often what was measured is put into its buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// The route.
pub fn router(handle: PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(handle)
}

async fn metrics(State(handle): State<PrometheusHandle>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
}

/// Keeps what is measured from piling up while nobody asks, until `stop` turns true.
pub async fn upkeep(handle: PrometheusHandle, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(UPKEEP) => handle.run_upkeep(),
        }
    }
}
