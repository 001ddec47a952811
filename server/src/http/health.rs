//! `/health/live`, `/health/ready`: whether the process is there, and whether it can do its work.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use cqrs_core::{EventBus, Log as _, Position};
use cqrs_sql::SqlLog;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::instance::Instance;

/// How long a store may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The handler without which ended sessions would still be let in.
const ENDED_SESSIONS: &str = "ended-sessions";

/// Knows what the process needs.
pub struct Health {
    services: Vec<Checked>,
    stop: watch::Receiver<bool>,
}

struct Checked {
    name: &'static str,
    log: Arc<SqlLog>,
    events: EventBus,
    /// Where its log ended when the process started.
    start: Position,
}

/// Whether the instance can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// `ready`, or `unready` as long as something is missing.
    pub status: String,
    /// What is missing.
    pub missing: Vec<String>,
    /// Views and reactors that stand still. The others go on; what is missing is in the log and in `parlor views status`.
    pub standing: Vec<Standing>,
}

/// An event handler that doesn't get past an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// Its service.
    pub service: String,
    /// Its name.
    pub handler: String,
    /// The log that it follows.
    pub source: String,
    /// The last position that it took in.
    pub position: String,
    /// The log's newest position.
    pub head: String,
}

impl Health {
    /// Of an instance that is about to start.
    pub fn of(instance: &Instance, stop: watch::Receiver<bool>) -> Self {
        let checked = instance.services.iter().map(|service| Checked {
            name: service.name,
            log: service.store.log.clone(),
            events: service.events.clone(),
            start: *service.store.log.head().borrow(),
        });
        Self { services: checked.collect(), stop }
    }

    /// Asks the stores, and looks at what follows them.
    pub async fn check(&self) -> Readiness {
        let mut missing = Vec::new();
        if *self.stop.borrow() {
            missing.push("the process is stopping".to_owned());
        }
        let asked = self.services.iter().map(|service| async move {
            // Any read that goes to the store will do.
            let answer = tokio::time::timeout(PATIENCE, service.log.claim_owner("health", [0; 32])).await;
            (!matches!(answer, Ok(Ok(_)))).then(|| format!("the store of {} doesn't answer", service.name))
        });
        missing.extend(futures::future::join_all(asked).await.into_iter().flatten());
        let mut standing = Vec::new();
        for service in &self.services {
            for handler in service.events.progress() {
                if handler.handler == ENDED_SESSIONS && handler.position < service.start {
                    missing.push("the sessions that have ended are not known yet".to_owned());
                }
                if handler.error.is_none() {
                    continue;
                }
                if handler.handler == ENDED_SESSIONS {
                    missing.push("the sessions that end are not heard of".to_owned());
                }
                standing.push(Standing {
                    service: service.name.to_owned(),
                    handler: handler.handler.to_owned(),
                    source: handler.source.to_owned(),
                    position: handler.position.0.to_string(),
                    head: handler.head.0.to_string(),
                });
            }
        }
        let status = if missing.is_empty() { "ready" } else { "unready" };
        Readiness { status: status.to_owned(), missing, standing }
    }
}

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<Health>> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// That the process is there.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct Liveness {
    /// `live`.
    status: &'static str,
}

/// Is the process there?
#[utoipa::path(get, path = "/health/live", tag = "operations", responses(
    (status = 200, description = "It is.", body = Liveness),
))]
async fn live() -> Json<Liveness> {
    Json(Liveness { status: "live" })
}

/// Can it do its work?
#[utoipa::path(get, path = "/health/ready", tag = "operations", responses(
    (status = 200, description = "It can.", body = Readiness),
    (status = 503, description = "Something is missing.", body = Readiness),
))]
async fn ready(State(health): State<Arc<Health>>) -> Response {
    let readiness = health.check().await;
    if readiness.missing.is_empty() {
        return Json(readiness).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(readiness)).into_response()
}
