//! `GET /v1/admin/{service}/ways/{id}`: what one request set off in this service's log. The ways through several services
//! make one picture: all their events share the correlation, and name what caused them.

use std::sync::Arc;

use axum::extract::State;
use cqrs_core::{Failure, Log as _, Position, RecordedEvent};
use cqrs_http::{Answer, Asking, PathId};
use cqrs_sql::SqlLog;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::events::{WINDOW, first_at, time_of};
use super::shown::{EventActor, LoggedEvent};
use super::{Console, answer};
use crate::admin::seen::{CommandSeen, End};

/// What can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WayParams {
    /// When it was about (RFC 3339): where to look, if the id doesn't say.
    #[param(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

/// What one request set off in one service.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Way {
    /// The service.
    service: String,
    /// What all of it shares; the id that was asked for where nothing was found.
    correlation: Uuid,
    /// The commands, the oldest first. A process remembers some thousands of those that it carried out itself.
    commands: Vec<WayCommand>,
    /// What happened, the oldest first.
    events: Vec<LoggedEvent>,
    /// Whether the log was read to its end from where it can have begun; there may be more otherwise.
    complete: bool,
}

/// A command, as the process that carried it out remembers it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WayCommand {
    /// Its name.
    name: String,
    /// Who issued it.
    actor: EventActor,
    /// The event that set it off, if one did.
    causation: Option<Uuid>,
    /// When it came.
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// How long it took, in milliseconds.
    took_ms: f64,
    /// How it ended: `done`, `replayed`, `refused` or `failed`.
    end: &'static str,
}

impl From<CommandSeen> for WayCommand {
    fn from(seen: CommandSeen) -> Self {
        Self {
            name: seen.name.to_owned(),
            actor: seen.actor.into(),
            causation: seen.causation,
            at: seen.at,
            took_ms: (seen.took.as_secs_f64() * 1_000_000.0).round() / 1000.0,
            end: match seen.end {
                End::Done => "done",
                End::Replayed => "replayed",
                End::Refused => "refused",
                End::Failed => "failed",
            },
        }
    }
}

/// The way of one command through a service: who issued it and when, and what came of it.
///
/// Asked with a correlation, or with the id of any event of the service's. 5,000 events are looked at, around the time that
/// `at` or the id says and most of them after it; without either, the newest.
#[utoipa::path(get, path = "/v1/admin/{service}/ways/{id}", operation_id = "admin_way", tag = "admin",
    params(
        ("service" = String, Path, description = "Whose log."),
        ("id" = Uuid, Path, description = "A correlation, or an event's id."),
        WayParams,
    ),
    responses(
        (status = 200, description = "What was found; it may be nothing.", body = Way),
        (status = 404, description = "There is no such service."),
        (status = 421, description = "`misdirected-request`: the service runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn way(
    State(console): State<Console>,
    PathId((service, id)): PathId<(String, Uuid)>,
    ask: Asking<WayParams>,
) -> Answer {
    let (kept, _) = console.service(&ask.cx, &service)?;
    let about = ask.params.at.or_else(|| time_of(id));
    let (events, complete) = window(&kept.store.log, about).await?;
    let asked = events.iter().find(|event| event.id == id || event.correlation == id);
    let correlation = asked.map_or(id, |event| event.correlation);
    let mine = events.iter().filter(|event| event.correlation == correlation);
    let prefix = format!("{}.", kept.service.name());
    let commands = console.operator.commands.of(correlation);
    Ok(answer(&Way {
        service: kept.service.name().to_owned(),
        correlation,
        commands: commands
            .into_iter()
            .filter(|seen| seen.name.starts_with(&prefix))
            .map(WayCommand::from)
            .collect(),
        events: mine.map(|event| LoggedEvent::from(&**event)).collect(),
        complete,
    }))
}

/// How many of the events that are looked at lie before the time that a way is about: clocks differ, and what was set off
/// names the time at which that was.
const BEFORE: u64 = WINDOW as u64 / 4;

/// The events around a time, or the newest; and whether all later ones are among them.
async fn window(log: &SqlLog, about: Option<Timestamp>) -> Result<(Vec<Arc<RecordedEvent>>, bool), Failure> {
    let head = log.head().borrow().0;
    let first = match about {
        Some(about) => first_at(log, about).await?.saturating_sub(BEFORE).max(1),
        None => (head + 1).saturating_sub(WINDOW as u64).max(1),
    };
    let events = log.read(Position(first - 1), WINDOW).await?;
    let to_the_end = events.last().is_none_or(|last| last.position.0 >= head);
    Ok((events, to_the_end && (about.is_some() || first == 1)))
}
