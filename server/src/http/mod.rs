//! What the process answers over HTTP besides the services' routes, and how connections are served.

pub mod docs;
pub(crate) mod elsewhere;
pub mod entrance;
pub mod health;
pub mod listener;
pub mod metrics;
pub mod openapi;
mod problems;
mod unstalled;
pub mod web;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use cqrs_http::{HttpOptions, Problem};

use self::health::Health;
use crate::admin::{Operator, console};
use crate::instance::Instance;

/// Everything that is served on the API's listener.
pub fn router(
    instance: &Instance,
    health: Arc<Health>,
    operator: Arc<Operator>,
    options: &HttpOptions,
) -> Router {
    let edges = instance.edges(options);
    let services = instance.router(&edges).merge(console::router(operator, edges));
    let services = elsewhere::narrow(services, &instance.roles);
    let (health, _) = health::routes().with_state(health).split_for_parts();
    cqrs_http::layer(services.merge(health).merge(docs::routes()).merge(web::routes()), options)
}

/// What is served until the stores are open.
pub fn starting(health: Arc<Health>, options: &HttpOptions) -> Router {
    let (health, _) = health::routes().with_state(health).split_for_parts();
    let closed = || async {
        let detail = "not available yet; GET /health/ready says what is missing";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .retry_after(Duration::from_secs(2))
    };
    cqrs_http::layer(health.merge(docs::routes()).merge(web::routes()).fallback(closed), options)
}
