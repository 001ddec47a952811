//! What the process answers over HTTP besides the services' routes, and how connections are served.

pub mod docs;
pub mod health;
pub mod listener;
pub mod metrics;
pub mod openapi;
mod problems;
mod stream_end;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use cqrs_http::HttpOptions;
use tokio::sync::watch;

use self::health::Health;
use crate::instance::Instance;

/// Everything that is served on the API's listener. Streams end when `stop` turns true.
pub fn router(
    instance: &Instance,
    health: Arc<Health>,
    options: &HttpOptions,
    stop: &watch::Receiver<bool>,
) -> Router {
    let services =
        instance.router(options).layer(from_fn_with_state(stop.clone(), stream_end::ends_with_the_process));
    let (health, _) = health::routes().with_state(health).split_for_parts();
    cqrs_http::layer(services.merge(health).merge(docs::routes()), options)
}
