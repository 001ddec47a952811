//! `GET /v1/admin/{service}/events`: what a service's log holds, newest first.
//!
//! A log has one order and an index by stream, and none by anything else: appending pays for each. Other questions are
//! answered by reading back, a bounded number of events for each request; a page may be short, or empty, and says by its
//! cursor that there is more to read.

use std::sync::Arc;

use axum::extract::State;
use cqrs_core::{Failure, Log as _, Position, RecordedEvent, StoreError};
use cqrs_http::{Answer, Asking, Limit, PathId};
use cqrs_sql::SqlLog;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::shown::LoggedEvent;
use super::{Console, answer};

/// How many events one request reads at most.
pub(super) const WINDOW: usize = 5_000;
/// How many are read in one go.
const STEP: u64 = 500;
/// How far the clocks of processes may be apart.
const SLACK: SignedDuration = SignedDuration::from_secs(10);

/// What can be asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsParams {
    /// One stream, as `CATEGORY/ID`.
    stream: Option<String>,
    /// What happened: the events' name, or its beginning with a `*` after it.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Not before this time (RFC 3339).
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Not after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// What one request set off.
    correlation: Option<Uuid>,
    /// How many on a page.
    #[serde(default)]
    limit: Limit,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of a log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventsPage {
    /// What was found, the newest first.
    items: Vec<LoggedEvent>,
    /// What to go on reading with; null where there is nothing more to read.
    next_cursor: Option<String>,
    /// The oldest position that was looked at, a decimal number; null if none was.
    read_to: Option<String>,
}

/// What is looked for.
struct Wanted {
    stream: Option<(String, Uuid)>,
    kind: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    correlation: Option<Uuid>,
}

impl Wanted {
    fn of(params: &EventsParams) -> Result<Self, Failure> {
        let stream = params.stream.as_deref().map(|stream| {
            let (category, id) = stream.split_once('/')?;
            Some((category.to_owned(), Uuid::try_parse(id).ok()?))
        });
        let stream = match stream {
            Some(None) => return Err(Failure::invalid("stream", "must be CATEGORY/ID, as user/0190…")),
            Some(stream) => stream,
            None => None,
        };
        let EventsParams { kind, from, to, correlation, .. } = params;
        Ok(Self { stream, kind: kind.clone(), from: *from, to: *to, correlation: *correlation })
    }

    fn matches(&self, event: &RecordedEvent) -> bool {
        let named = |kind: &String| match kind.strip_suffix('*') {
            Some(beginning) => event.name.starts_with(beginning),
            None => event.name == kind.as_str(),
        };
        self.kind.as_ref().is_none_or(named)
            && self.correlation.is_none_or(|correlation| event.correlation == correlation)
            && self.from.is_none_or(|from| event.at >= from)
            && self.to.is_none_or(|to| event.at <= to)
            && self.stream.as_ref().is_none_or(|(category, id)| {
                event.stream == *id && event.category.as_ref() == category.as_str()
            })
    }
}

/// Where a page ended: in the log, or in a stream.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Before {
    position: u64,
    version: u64,
}

const LIST: &str = "logged events";

/// What a service's log holds, the newest first. Personal fields stay sealed and read `•••`.
///
/// A page looks at 5,000 events at most. If it is short or empty and has a `nextCursor`, there is more to read.
#[utoipa::path(get, path = "/v1/admin/{service}/events", operation_id = "admin_events", tag = "admin",
    params(("service" = String, Path, description = "Whose log."), EventsParams),
    responses(
        (status = 200, description = "What was found.", body = EventsPage),
        (status = 404, description = "There is no such service."),
        (status = 421, description = "`misdirected-request`: the service runs in another process."),
    ), security(("bearer" = [])))]
pub(super) async fn events(
    State(console): State<Console>,
    PathId(service): PathId<String>,
    ask: Asking<EventsParams>,
) -> Answer {
    let (kept, edge) = console.service(&ask.cx, &service)?;
    let wanted = Wanted::of(&ask.params)?;
    let cursor = ask.params.cursor.as_deref();
    let before: Option<Before> = cursor.map(|cursor| edge.cursors().decode(LIST, cursor)).transpose()?;
    let log = &*kept.store.log;
    let (found, next, read_to) = match &wanted.stream {
        Some((category, id)) => of_stream(log, category, *id, &wanted, before, ask.params.limit).await?,
        None => of_log(log, &wanted, before, ask.params.limit).await?,
    };
    let next_cursor = next.map(|next| edge.cursors().encode(LIST, &next)).transpose()?;
    Ok(answer(&EventsPage {
        items: found.iter().map(|event| LoggedEvent::from(&**event)).collect(),
        next_cursor,
        read_to: read_to.map(|position| position.to_string()),
    }))
}

/// What was found, where to go on, and the oldest position looked at.
type Found = (Vec<Arc<RecordedEvent>>, Option<Before>, Option<Position>);

async fn of_stream(
    log: &SqlLog,
    category: &str,
    id: Uuid,
    wanted: &Wanted,
    before: Option<Before>,
    limit: Limit,
) -> Result<Found, Failure> {
    let before = before.map_or(u64::MAX, |before| before.version);
    let positions = log.stream_positions(category, id, before, limit.get()).await?;
    let read = log.read_at(&positions).await?;
    let last = read.last().map(|event| Before { position: event.position.0, version: event.version });
    let next = last.filter(|last| read.len() == limit.get() && last.version > 1);
    let found = read.iter().filter(|event| wanted.matches(event)).cloned().collect();
    Ok((found, next, last.map(|last| Position(last.position))))
}

async fn of_log(
    log: &SqlLog,
    wanted: &Wanted,
    before: Option<Before>,
    limit: Limit,
) -> Result<Found, Failure> {
    // What a request set off isn't older than the request, whose id begins with its time.
    let set_off = wanted.correlation.and_then(time_of).and_then(|time| time.checked_sub(SLACK).ok());
    let from = wanted.from.into_iter().chain(set_off).max();
    let first = match from {
        Some(from) => first_at(log, from).await?,
        None => 1,
    };
    let mut upper = match (before, wanted.to) {
        (Some(before), _) => before.position,
        (None, Some(to)) => first_at(log, after(to)).await?,
        (None, None) => log.head().borrow().0 + 1,
    };
    let (mut found, mut read) = (Vec::new(), 0);
    let end = |upper| (upper > first).then_some(Before { position: upper, version: 0 });
    while upper > first && read < WINDOW {
        let lower = upper.saturating_sub(STEP).max(first);
        let events = log.read(Position(lower - 1), (upper - lower) as usize).await?;
        if events.is_empty() {
            break;
        }
        for event in events.iter().rev() {
            upper = event.position.0;
            read += 1;
            if wanted.matches(event) {
                found.push(event.clone());
                if found.len() == limit.get() {
                    return Ok((found, end(upper), Some(Position(upper))));
                }
            }
        }
    }
    Ok((found, end(upper), (read > 0).then_some(Position(upper))))
}

/// The first moment after `time` that a log tells apart: it keeps milliseconds.
fn after(time: Timestamp) -> Timestamp {
    let next = time.as_millisecond().saturating_add(1);
    Timestamp::from_millisecond(next).unwrap_or(Timestamp::MAX)
}

/// When something with this id began, if the id says so (UUID v7, RFC 9562 §5.7).
pub(super) fn time_of(id: Uuid) -> Option<Timestamp> {
    if id.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1000)? + i64::from(nanos / 1_000_000);
    Timestamp::from_millisecond(millis).ok()
}

/// The position of the first event that isn't older than `time`: times never go back within a log.
pub(super) async fn first_at(log: &SqlLog, time: Timestamp) -> Result<u64, StoreError> {
    let (mut low, mut high) = (1, log.head().borrow().0 + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = log.read_at(&[Position(middle)]).await?;
        match found.first() {
            Some(event) if event.at < time => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
