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
use crate::admin::Operator;
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
    /// Its name; a webhook's is its receiver's.
    name: String,
    /// `view`, `reactor`, `relay`, `follower` for what keeps nothing; `webhook` or `push` for what sends events out.
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
    /// `live`, `rebuilding`, `stuck` with the error and tried again by itself; of what sends events out also `parked`, which
    /// somebody has to try again, and `paused`.
    state: String,
    /// Where and why it stands still, if it does.
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
        let lag = Lag::of(operator, progress.source, progress.position, progress.head, now).await?;
        let (runs, holder) = holders.where_runs(progress.handler);
        let kind = kept.kind_of(progress.handler);
        handlers.push(HandlerState {
            name: progress.handler.to_owned(),
            kind: kind.to_owned(),
            source: progress.source.to_owned(),
            follows: lag.follows,
            position: progress.position.to_string(),
            newest: progress.head.to_string(),
            behind: lag.behind,
            behind_ms: lag.behind_ms,
            state: state(&operator.rebuilds, progress.handler, kind, progress.error.is_some()).to_owned(),
            error: progress.error,
            runs: runs.to_owned(),
            holder,
        });
    }
    if let Some(leaving) = operator.leaving.as_ref().filter(|_| kept.service == ServiceName::Notification) {
        handlers.extend(outgoing(operator, leaving, &holders, now).await?);
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

/// What sends events out, once for each log that it follows.
async fn outgoing(
    operator: &Operator,
    leaving: &parlor_notification::Deps,
    holders: &Holders,
    now: Timestamp,
) -> Result<Vec<HandlerState>, cqrs_core::Failure> {
    let sender = parlor_notification::outgoing::sender(leaving).await?;
    let mut handlers = Vec::new();
    for one in parlor_notification::outgoing::outgoing(leaving).await? {
        let lag = Lag::of(operator, one.source, one.position, one.newest, now).await?;
        let (runs, holder) = holders.who_holds(sender);
        handlers.push(HandlerState {
            name: one.name,
            kind: one.kind.to_owned(),
            source: one.source.to_owned(),
            follows: lag.follows,
            position: one.position.to_string(),
            newest: one.newest.to_string(),
            behind: lag.behind,
            behind_ms: lag.behind_ms,
            state: one.state.to_owned(),
            error: one.problem,
            runs: runs.to_owned(),
            holder,
        });
    }
    Ok(handlers)
}

/// What lies between a place and a log's end.
struct Lag {
    follows: String,
    behind: u64,
    behind_ms: Option<u64>,
}

impl Lag {
    async fn of(
        operator: &Operator,
        source: &'static str,
        position: Position,
        newest: Position,
        now: Timestamp,
    ) -> Result<Self, cqrs_core::Failure> {
        let behind = newest.0.saturating_sub(position.0);
        let follows = ServiceName::of_source(source);
        let log = follows.and_then(|service| operator.kept(service));
        let behind_ms = match log {
            Some(log) if behind > 0 => waiting_since(log, position).await?.map(|since| {
                u64::try_from(now.as_millisecond() - since.as_millisecond()).unwrap_or_default()
            }),
            _ => None,
        };
        Ok(Self { follows: follows.map_or(source, ServiceName::name).to_owned(), behind, behind_ms })
    }
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
            Some(holder) => self.who_holds(*holder),
        }
    }

    /// The same for what runs once, by who holds its lease.
    fn who_holds(&self, holder: Option<Uuid>) -> (&'static str, Option<Uuid>) {
        match holder {
            _ if self.alone => ("here", None),
            None => ("nowhere", None),
            Some(holder) if holder == self.this => ("here", Some(holder)),
            Some(holder) => ("elsewhere", Some(holder)),
        }
    }
}
