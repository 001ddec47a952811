//! What the process answers over HTTP besides the services' routes, and how connections are served.

pub mod docs;
pub mod health;
pub mod listener;
pub mod metrics;
pub mod openapi;
mod problems;

use std::sync::Arc;

use axum::Router;
use cqrs_http::HttpOptions;

use self::health::Health;
use crate::instance::Instance;

/// Everything that is served on the API's listener.
pub fn router(instance: &Instance, health: Arc<Health>, options: &HttpOptions) -> Router {
    let services = instance.router(options);
    let (health, _) = health::routes().with_state(health).split_for_parts();
    cqrs_http::layer(services.merge(health).merge(docs::routes()), options)
}
