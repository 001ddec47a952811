//! `/v1/admin/{service}/parked`: what was set aside because it couldn't be handled.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use cqrs_core::{Failure, ParkStore as _, Parked};
use cqrs_http::{Answer, Asking, Input, Limit, NoBody, Page, PathId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Console, answer};

/// Something that was set aside.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ParkedEvent {
    /// Its number in its service's store.
    id: i64,
    /// The reactor that couldn't handle it; null for a record that is no event.
    reactor: Option<String>,
    /// Where it came from: a log, or a topic and partition.
    source: String,
    /// Its place there, a decimal number.
    position: String,
    /// The stream whose later events wait behind it.
    stream: Option<Uuid>,
    /// What it is called.
    name: String,
    /// Why it was set aside.
    reason: String,
    /// Whether it is about to be tried again.
    retry: bool,
}

impl From<Parked> for ParkedEvent {
    fn from(parked: Parked) -> Self {
        Self {
            id: parked.id,
            reactor: parked.consumer,
            source: parked.source,
            position: parked.position.to_string(),
            stream: parked.stream,
            name: parked.name,
            reason: parked.reason,
            retry: parked.retry,
        }
    }
}

/// What can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ParkedParams {
    /// How many on a page.
    #[serde(default)]
    limit: Limit,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

const LIST: &str = "parked";

/// What was set aside because it couldn't be handled, in the order in which it was.
#[utoipa::path(get, path = "/v1/admin/{service}/parked", operation_id = "admin_parked", tag = "admin",
    params(("service" = String, Path, description = "The service that keeps it."), ParkedParams),
    responses(
        (status = 200, description = "What is parked.", body = Page<ParkedEvent>),
        (status = 404, description = "There is no such service."),
        (status = 421, description = "`misdirected-request`: the service runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn parked(
    State(console): State<Console>,
    PathId(service): PathId<String>,
    ask: Asking<ParkedParams>,
) -> Answer {
    let (kept, edge) = console.service(&ask.cx, &service)?;
    let ParkedParams { limit, cursor } = ask.params;
    let after: i64 = cursor.map_or(Ok(0), |cursor| edge.cursors().decode(LIST, &cursor))?;
    let found = kept.store.log.parked_after(after, limit.and_one()).await.map_err(Failure::from)?;
    let page = Page::cut(found, limit, |last| edge.cursors().encode(LIST, &last.id).unwrap_or_default());
    Ok(answer(&page.map(ParkedEvent::from)))
}

fn unknown() -> Failure {
    Failure::not_found("this isn't parked, or not any more")
}

/// Try something that was set aside again, with all that waits behind it; repeating this changes nothing.
#[utoipa::path(post, path = "/v1/admin/{service}/parked/{id}/retry", operation_id = "admin_retry_parked", tag = "admin",
    params(
        ("service" = String, Path, description = "The service that keeps it."),
        ("id" = i64, Path, description = "Its number."),
    ),
    responses(
        (status = 202, description = "It is tried within a second or two; what becomes of it is to be seen in the list."),
        (status = 404, description = "It isn't parked (any more), or is no event."),
        (status = 421, description = "`misdirected-request`: the service runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn retry_parked(
    State(console): State<Console>,
    PathId((service, id)): PathId<(String, i64)>,
    input: Input<NoBody>,
) -> Answer {
    let (kept, _) = console.service(&input.cx, &service)?;
    if !kept.store.log.retry(id).await.map_err(Failure::from)? {
        return Err(unknown().into());
    }
    tracing::info!(service, id, by = ?input.cx.actor, "something parked is tried again");
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Give something that was set aside up for good; what waited behind it is tried then.
#[utoipa::path(delete, path = "/v1/admin/{service}/parked/{id}", operation_id = "admin_drop_parked", tag = "admin",
    params(
        ("service" = String, Path, description = "The service that keeps it."),
        ("id" = i64, Path, description = "Its number."),
    ),
    responses(
        (status = 204, description = "It is given up."),
        (status = 404, description = "It isn't parked, or not any more."),
        (status = 421, description = "`misdirected-request`: the service runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn drop_parked(
    State(console): State<Console>,
    PathId((service, id)): PathId<(String, i64)>,
    input: Input<NoBody>,
) -> Answer {
    let (kept, _) = console.service(&input.cx, &service)?;
    if !kept.store.log.give_up(id).await.map_err(Failure::from)? {
        return Err(unknown().into());
    }
    tracing::warn!(service, id, by = ?input.cx.actor, "something parked was given up");
    Ok(StatusCode::NO_CONTENT.into_response())
}
