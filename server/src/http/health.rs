//! `/health/live`, `/health/ready`: whether the process is there, and whether it can do its work.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use cqrs_core::{EventBus, EventSource, Log as _, Position};
use cqrs_sql::ServiceStore;
use parking_lot::Mutex;
use parlor_auth::admission::{self, Admission};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::instance::{Instance, Kafka};
use crate::roles::ServiceName;

/// How long a store may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The handler without which ended sessions would still be let in.
const LETS_IN: &str = admission::FOLLOWER;

/// Knows what the process needs.
pub struct Health {
    /// What is waited for until the stores are open.
    waits_for: Mutex<Vec<String>>,
    open: OnceLock<Open>,
    stop: watch::Receiver<bool>,
}

/// What is looked at once the stores are open.
struct Open {
    services: Vec<Checked>,
    /// Auth's public events, wherever they come from.
    auth: Option<Arc<dyn EventSource>>,
    /// Where they ended when they were first heard of.
    auth_began: OnceLock<Position>,
    admission: Admission,
    kafka: Option<Kafka>,
}

struct Checked {
    name: &'static str,
    store: ServiceStore,
    events: EventBus,
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
    /// What is wrong with Kafka. A process that is ready goes on without it; what it hears of others comes later.
    #[serde(default)]
    pub kafka: Vec<String>,
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
    /// Of a process that has just started, until `stop` turns true.
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        let starting = Mutex::new(vec!["the process is starting".to_owned()]);
        Self { waits_for: starting, open: OnceLock::new(), stop }
    }

    /// Of an instance that is open.
    pub fn of(instance: &Instance, stop: watch::Receiver<bool>) -> Self {
        let health = Self::new(stop);
        health.opened(instance);
        health
    }

    /// The stores can't be opened before these things are there.
    pub fn waits_for(&self, missing: Vec<String>) {
        *self.waits_for.lock() = missing;
    }

    /// The stores are open.
    pub fn opened(&self, instance: &Instance) {
        let checked = instance.services.iter().map(|service| Checked {
            name: service.name(),
            store: service.store.clone(),
            events: service.events.clone(),
        });
        let open = Open {
            services: checked.collect(),
            auth: instance.sources.public_of(ServiceName::Auth).cloned(),
            auth_began: OnceLock::new(),
            admission: instance.admission.clone(),
            kafka: instance.kafka.clone(),
        };
        // Only the first one counts, and there is only one.
        let _ = self.open.set(open);
    }

    /// Asks the stores, and looks at what follows them.
    pub async fn check(&self) -> Readiness {
        let (mut missing, mut standing, mut kafka) = (Vec::new(), Vec::new(), Vec::new());
        if *self.stop.borrow() {
            missing.push("the process is stopping".to_owned());
        }
        match self.open.get() {
            None => missing.extend(self.waits_for.lock().clone()),
            Some(open) => {
                let asked = open.services.iter().map(Checked::ask);
                missing.extend(futures::future::join_all(asked).await.into_iter().flatten());
                missing.extend(open.lets_in());
                kafka = open.kafka.as_ref().map(Kafka::troubles).unwrap_or_default();
                standing = open.services.iter().flat_map(Checked::standing).collect();
            }
        }
        let status = if missing.is_empty() { "ready" } else { "unready" };
        Readiness { status: status.to_owned(), missing, standing, kafka }
    }
}

impl Open {
    /// What is missing for telling whose tokens are good.
    fn lets_in(&self) -> Option<String> {
        let auth = self.auth.as_ref()?;
        if auth.epoch().is_nil() {
            return Some("nothing has been heard of auth yet, by Kafka".to_owned());
        }
        // The first of all starts may come before auth has made any.
        if !self.admission.verifier().knows_keys() {
            return Some("the keys that tokens are checked with are not known yet".to_owned());
        }
        let began = *self.auth_began.get_or_init(|| *auth.head().borrow());
        let progress = self.services.iter().flat_map(|service| service.events.progress());
        let follower = progress.into_iter().find(|handler| handler.handler == LETS_IN)?;
        if follower.error.is_some() {
            return Some("the sessions that end are not heard of".to_owned());
        }
        (follower.position < began).then(|| "the sessions that have ended are not known yet".to_owned())
    }
}

impl Checked {
    /// Which of the service's stores don't answer.
    async fn ask(&self) -> Vec<String> {
        // Any read that goes to the store will do.
        let log = tokio::time::timeout(PATIENCE, self.store.log.claim_owner("health", [0; 32]));
        let view = self.store.views.projections().first();
        let views = tokio::time::timeout(PATIENCE, async {
            match view {
                Some(view) => self.store.views.place_of(view.name(), view.sources()[0]).await.map(drop),
                None => Ok(()),
            }
        });
        let (log, views) = tokio::join!(log, views);
        let mut missing = Vec::new();
        if !matches!(log, Ok(Ok(_))) {
            missing.push(format!("the store of {} doesn't answer", self.name));
        }
        if !matches!(views, Ok(Ok(()))) {
            missing.push(format!("the store of {}'s views doesn't answer", self.name));
        }
        missing
    }

    fn standing(&self) -> Vec<Standing> {
        let handlers = self.events.progress().into_iter().filter(|handler| handler.error.is_some());
        let stands = handlers.map(|handler| Standing {
            service: self.name.to_owned(),
            handler: handler.handler.to_owned(),
            source: handler.source.to_owned(),
            position: handler.position.0.to_string(),
            head: handler.head.0.to_string(),
        });
        stands.collect()
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
