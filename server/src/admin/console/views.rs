//! `/v1/admin/{service}/views/{view}/rebuild`: a view is made anew beside the live one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use cqrs_core::Failure;
use cqrs_http::{Answer, Asking, Input, NoBody, NoParams, PathId, Problem};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Console, answer};
use crate::admin::operator::Kept;
use crate::admin::rebuilds::{Rebuild, RebuildState};

/// How far a view's rebuild is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RebuildProgress {
    /// The service that keeps the view.
    service: String,
    /// The view.
    view: String,
    /// `running`, `done` (the rebuilt view is live) or `failed`.
    state: String,
    /// Events taken in.
    done: u64,
    /// Events that there are.
    total: u64,
    /// When it began.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    began_at: Timestamp,
    /// When it ended.
    #[serde(with = "cqrs_http::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// Why it failed. Begun again it goes on where it was.
    error: Option<String>,
}

impl From<Rebuild> for RebuildProgress {
    fn from(rebuild: Rebuild) -> Self {
        let (state, ended_at, error) = match rebuild.state {
            RebuildState::Running => ("running", None, None),
            RebuildState::Done(at) => ("done", Some(at), None),
            RebuildState::Failed(at, why) => ("failed", Some(at), Some(why)),
        };
        Self {
            service: rebuild.service.name().to_owned(),
            view: rebuild.view,
            state: state.to_owned(),
            done: rebuild.progress.done,
            total: rebuild.progress.total,
            began_at: rebuild.began,
            ended_at,
            error,
        }
    }
}

fn require_view(kept: &Kept, view: &str) -> Result<(), Problem> {
    if kept.has_view(view) { Ok(()) } else { Err(Failure::not_found("there is no such view").into()) }
}

/// Make a view anew beside the live one, from all events; queries go on meanwhile.
///
/// Asked again while it goes on, it stays one rebuild.
#[utoipa::path(post, path = "/v1/admin/{service}/views/{view}/rebuild", operation_id = "admin_rebuild_view", tag = "admin",
    params(
        ("service" = String, Path, description = "The service that keeps it."),
        ("view" = String, Path, description = "Its name."),
    ),
    responses(
        (status = 202, description = "It goes on; ask this path how far it is.", body = RebuildProgress),
        (status = 404, description = "There is no such view."),
        (status = 421, description = "`misdirected-request`: the service runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn rebuild_view(
    State(console): State<Console>,
    PathId((service, view)): PathId<(String, String)>,
    input: Input<NoBody>,
) -> Answer {
    let (kept, _) = console.service(&input.cx, &service)?;
    require_view(kept, &view)?;
    let operator = console.operator.clone();
    if let Some(begun) = operator.rebuilds.begin(kept.service, &view, operator.clock.now()) {
        let (operator, service) = (operator.clone(), kept.service);
        tokio::spawn(async move {
            let Some(kept) = operator.kept(service) else { return };
            if let Err(error) = operator.fill(kept, begun, |_| ()).await {
                tracing::error!(%error, "a view couldn't be rebuilt");
            }
        });
    }
    let progress = operator.rebuilds.of(&view).map(RebuildProgress::from);
    Ok((StatusCode::ACCEPTED, answer(&progress)).into_response())
}

/// How far a view's last rebuild is, since the process began.
#[utoipa::path(get, path = "/v1/admin/{service}/views/{view}/rebuild", operation_id = "admin_rebuild_progress", tag = "admin",
    params(
        ("service" = String, Path, description = "The service that keeps it."),
        ("view" = String, Path, description = "Its name."),
    ),
    responses(
        (status = 200, description = "How far it is.", body = RebuildProgress),
        (status = 404, description = "There is no such view, or this process hasn't rebuilt it."),
        (status = 421, description = "`misdirected-request`: the service runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn rebuild_progress(
    State(console): State<Console>,
    PathId((service, view)): PathId<(String, String)>,
    ask: Asking<NoParams>,
) -> Answer {
    let (kept, _) = console.service(&ask.cx, &service)?;
    require_view(kept, &view)?;
    let last = console.operator.rebuilds.of(&view);
    let last = last.ok_or_else(|| Failure::not_found("this process hasn't rebuilt it"))?;
    Ok(answer(&RebuildProgress::from(last)))
}
