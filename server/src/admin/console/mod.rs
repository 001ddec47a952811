//! `/v1/admin/{service}/…`: what the console shows and does. Each process answers for the services that it runs, so that a
//! proxy can send each path to a process of its service (docs/adr/0020-console.md).
//!
//! What is asked here is of this moment and of this process. What an administrator does to people (their sessions, their
//! accounts) are commands of the services; what is done here (a rebuild, another try) changes no log and may be repeated.

mod events;
mod ledger;
mod overview;
mod parked;
mod shown;
mod views;
mod way;

use std::sync::Arc;

use axum::extract::FromRef;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use cqrs_core::{Context, Failure};
use cqrs_http::{Edge, Problem, requires_role};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::operator::Kept;
use super::{Operator, TaskError};
use crate::http::elsewhere::of_another;
use crate::roles::ServiceName;

/// What the routes need. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Console {
    operator: Arc<Operator>,
    edges: Arc<[(ServiceName, Edge)]>,
}

impl FromRef<Console> for Edge {
    /// Whichever: all of them tell alike who asks.
    fn from_ref(console: &Console) -> Self {
        console.edges[0].1.clone()
    }
}

impl Console {
    /// A service of this process, for an administrator: 403 for others, 404 for what is no service, 421 for one of another
    /// process.
    fn service(&self, cx: &Context, name: &str) -> Result<(&Kept, &Edge), Problem> {
        requires_role(cx, parlor_user::access::ADMIN)?;
        let known = ServiceName::ALL.into_iter().find(|service| service.name() == name);
        let service = known.ok_or_else(|| Failure::not_found("there is no such service"))?;
        let kept = self.operator.kept(service).ok_or_else(|| of_another(service))?;
        let edge = self.edges.iter().find(|(of, _)| *of == service).map(|(_, edge)| edge);
        Ok((kept, edge.ok_or_else(|| of_another(service))?))
    }
}

/// The routes, on the process's services.
pub(crate) fn router(operator: Arc<Operator>, edges: Vec<(ServiceName, Edge)>) -> Router {
    if edges.is_empty() {
        return Router::new();
    }
    let console = Console { operator, edges: edges.into() };
    routes().with_state(console).split_for_parts().0
}

/// The routes with their description.
pub(crate) fn routes() -> OpenApiRouter<Console> {
    OpenApiRouter::new()
        .routes(routes!(overview::overview))
        .routes(routes!(views::rebuild_view, views::rebuild_progress))
        .routes(routes!(parked::parked))
        .routes(routes!(parked::retry_parked))
        .routes(routes!(parked::drop_parked))
        .routes(routes!(events::events))
        .routes(routes!(way::way))
        .routes(routes!(ledger::ledger))
}

/// An answer that is true now and kept by nobody.
fn answer(body: &impl Serialize) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

impl From<TaskError> for Problem {
    fn from(error: TaskError) -> Self {
        Self::internal(error)
    }
}
