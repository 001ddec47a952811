//! `GET /v1/admin/{service}/overview`: a service's log, and whatever follows events for it.

use std::collections::HashMap;

use axum::extract::State;
use cqrs_core::{EventBus, Log as _, Position};
use cqrs_http::{Answer, Asking, NoParams, PathId};
use cqrs_sql::Dialect;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Console, answer};
use crate::admin::operator::Kept;
use crate::admin::rebuilds::{RebuildState, Rebuilds};
use crate::roles::ServiceName;

/// A service at one moment. Rates follow from two of them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    /// The service.
    service: String,
    /// When this was so.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The process that answers; another one with each start.
    process: Uuid,
    /// What its log lies on: `sqlite` or `postgres`.
    store: String,
    /// Its log.
    log: LogState,
    /// Whatever follows events for it, once for each log that it follows.
    handlers: Vec<HandlerState>,
    /// How many events and records were set aside.
    parked: u64,
}

/// A log at one moment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogState {
    /// Another one after it was restored from a backup.
    epoch: Uuid,
    /// The position of the newest event, a decimal number.
    newest: String,
}

/// A handler of events in one of the logs that it follows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HandlerState {
    /// Its name.
    name: String,
    /// `view`, `reactor`, `relay`, or `follower` for what keeps nothing.
    kind: String,
    /// The log that it follows, or `SERVICE.public` for what another service makes public.
    source: String,
    /// The service whose log it is.
    follows: String,
    /// The last position that it took in, as far as this process knows; a decimal number.
    position: String,
    /// The newest position there.
    newest: String,
    /// Events between the two. Not all of them may be for it.
    behind: u64,
    /// For how many milliseconds the oldest of these has been waiting; null where there is none, or its time isn't known here.
    behind_ms: Option<u64>,
    /// `live`, `rebuilding`, or `stuck` with the error.
    state: String,
    /// Where and why it stands still, if it does; tried again by itself.
    error: Option<String>,
    /// Where it runs: `here`, `elsewhere` (in another process) or `nowhere`.
    runs: String,
    /// The process that holds its lease, where there can be several.
    holder: Option<Uuid>,
}

/// What a service's log holds, and how far those who follow events for it have come.
#[utoipa::path(get, path = "/v1/admin/{service}/overview", operation_id = "admin_overview", tag = "admin",
    params(("service" = String, Path, description = "`auth`, `user`, `chat` or `notification`.")),
    responses(
        (status = 200, description = "The service now.", body = Overview),
        (status = 404, description = "There is no such service."),
        (status = 421, description = "`misdirected-request`: it runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn overview(
    State(console): State<Console>,
    PathId(service): PathId<String>,
    ask: Asking<NoParams>,
) -> Answer {
    let (kept, _) = console.service(&ask.cx, &service)?;
    let operator = &console.operator;
    let holders = Holders::of(&kept.events, kept.store.log.dialect()).await?;
    let now = operator.clock.now();
    let mut handlers = Vec::new();
    for progress in kept.events.progress() {
        let behind = progress.head.0.saturating_sub(progress.position.0);
        let follows = ServiceName::of_source(progress.source);
        let log = follows.and_then(|service| operator.kept(service));
        let behind_ms = match log {
            Some(log) if behind > 0 => waiting_since(log, progress.position).await?.map(|since| {
                u64::try_from(now.as_millisecond() - since.as_millisecond()).unwrap_or_default()
            }),
            _ => None,
        };
        let (runs, holder) = holders.where_runs(progress.handler);
        let kind = kept.kind_of(progress.handler);
        handlers.push(HandlerState {
            name: progress.handler.to_owned(),
            kind: kind.to_owned(),
            source: progress.source.to_owned(),
            follows: follows.map_or(progress.source, ServiceName::name).to_owned(),
            position: progress.position.to_string(),
            newest: progress.head.to_string(),
            behind,
            behind_ms,
            state: state(&operator.rebuilds, progress.handler, kind, progress.error.is_some()).to_owned(),
            error: progress.error,
            runs: runs.to_owned(),
            holder,
        });
    }
    let parked = kept.store.log.parked_count().await.map_err(cqrs_core::Failure::from)?;
    Ok(answer(&Overview {
        service: kept.service.name().to_owned(),
        at: now,
        process: kept.events.holder(),
        store: match kept.store.log.dialect() {
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgres",
        }
        .to_owned(),
        log: LogState { epoch: kept.store.log.epoch(), newest: kept.store.log.head().borrow().to_string() },
        handlers,
        parked,
    }))
}

/// When the event after `position` was committed.
async fn waiting_since(log: &Kept, position: Position) -> Result<Option<Timestamp>, cqrs_core::Failure> {
    let next = log.store.log.read_at(&[Position(position.0 + 1)]).await?;
    Ok(next.first().map(|event| event.at))
}

fn state(rebuilds: &Rebuilds, handler: &str, kind: &str, stands: bool) -> &'static str {
    let rebuilding = || rebuilds.of(handler).is_some_and(|last| last.state == RebuildState::Running);
    match kind {
        _ if stands => "stuck",
        "view" if rebuilding() => "rebuilding",
        _ => "live",
    }
}

/// Which process holds which handler's lease.
struct Holders {
    this: Uuid,
    /// On SQLite there is one process.
    alone: bool,
    leased: HashMap<&'static str, Option<Uuid>>,
}

impl Holders {
    async fn of(events: &EventBus, dialect: Dialect) -> Result<Self, cqrs_core::Failure> {
        let leased = events.holders().await?.into_iter().collect();
        Ok(Self { this: events.holder(), alone: dialect == Dialect::Sqlite, leased })
    }

    fn where_runs(&self, handler: &str) -> (&'static str, Option<Uuid>) {
        match self.leased.get(handler) {
            // It runs in each process.
            None => ("here", None),
            Some(_) if self.alone => ("here", None),
            Some(None) => ("nowhere", None),
            Some(Some(holder)) if *holder == self.this => ("here", Some(*holder)),
            Some(Some(holder)) => ("elsewhere", Some(*holder)),
        }
    }
}
