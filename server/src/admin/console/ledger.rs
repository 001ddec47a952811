//! `GET /v1/admin/{service}/ledger`: what came of commands that were sent twice.

use axum::extract::State;
use cqrs_core::Failure;
use cqrs_http::{Answer, Asking, NoParams, PathId};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Console, answer};

/// A service's ledger, and what its commands came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ledger {
    /// The service.
    service: String,
    /// How many answers it keeps to commands with an idempotency key.
    keys: u64,
    /// When the oldest of them was given.
    #[serde(with = "cqrs_http::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_at: Option<Timestamp>,
    /// What commands came to, by name, since the process began.
    commands: Vec<CommandTotals>,
}

/// What the commands of one name came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommandTotals {
    /// Its name.
    name: String,
    /// Those that took effect, or found nothing to do.
    done: u64,
    /// Those that were answered from the ledger.
    replayed: u64,
    /// Those that were refused.
    refused: u64,
    /// Those that failed or were too late.
    failed: u64,
    /// How long one took on average, in milliseconds.
    average_ms: f64,
}

/// How many answers the ledger keeps, and how often commands were answered from it.
#[utoipa::path(get, path = "/v1/admin/{service}/ledger", operation_id = "admin_ledger", tag = "admin",
    params(("service" = String, Path, description = "Whose.")),
    responses(
        (status = 200, description = "The ledger now.", body = Ledger),
        (status = 404, description = "There is no such service."),
        (status = 421, description = "`misdirected-request`: the service runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn ledger(
    State(console): State<Console>,
    PathId(service): PathId<String>,
    ask: Asking<NoParams>,
) -> Answer {
    let (kept, _) = console.service(&ask.cx, &service)?;
    let size = kept.store.log.ledger_size().await.map_err(Failure::from)?;
    let totals = console.operator.commands.totals(&format!("{}.", kept.service.name()));
    let commands = totals.into_iter().map(|(name, totals)| {
        let all = totals.done + totals.replayed + totals.refused + totals.failed;
        let average_ms = totals.took.as_secs_f64() * 1000.0 / all.max(1) as f64;
        CommandTotals {
            name: name.to_owned(),
            done: totals.done,
            replayed: totals.replayed,
            refused: totals.refused,
            failed: totals.failed,
            average_ms: (average_ms * 1000.0).round() / 1000.0,
        }
    });
    Ok(answer(&Ledger {
        service: kept.service.name().to_owned(),
        keys: size.keys,
        oldest_at: size.oldest,
        commands: commands.collect(),
    }))
}
