//! `GET /v1/stream`: live delivery as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State as Shared;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use cqrs_http::{Answer, Edge, OpenAsking, Problem, unauthenticated};
use futures::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::entry::Entry;
use super::{Frame, Live};

/// A comment goes out when nothing else did for so long, so that proxies keep the connection and clients notice its end.
const HEARTBEAT: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where to begin.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamParams {
    /// Resumes after the event that had this cursor; `Last-Event-ID` goes before it.
    #[serde(default)]
    pub cursor: Option<String>,
    /// A ticket from `POST /v1/stream/ticket`, in place of the `Authorization` header.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// Live events
///
/// Server-sent events. Each has a line of JSON, `{"cursor", "type", "at", "data"}`, and the cursor as its `id`; `data` of
/// a message is what its page shows. Without a cursor it begins now, with a `caught-up` that gives the first cursor; its
/// `position` is for `Parlor-Min-Position`: what is read with it lacks nothing that comes before.
/// Resumed, all missed events come first, each once, in order within their source (the part of the type before the dot),
/// then `caught-up`, then what is new. A message that was deleted meanwhile comes as what is left of it. The removal of
/// the caller is the last event of a conversation. A connection that the server ends says
/// `{"type": "closed", "code", "retryAfterMs"}` first: `too-slow`, `unavailable` and `stopping` lose nothing by resuming;
/// `signed-out` has no `retryAfterMs`. Comments keep the connection alive.
///
/// Two types of event have no cursor, for they pass and aren't repeated: `typing` with `{"conversationId", "userId"}`, and
/// `presence` with `{"userId", "status", "lastSeenAt"}`, first of those who are there, right after `caught-up`, then of each
/// change; `GET /v1/presence` says of whom. One user has so many connections at once; further ones are refused.
#[utoipa::path(get, path = "/v1/stream", tag = "live",
    params(StreamParams, ("Last-Event-ID" = Option<String>, Header, description = "The last event's cursor")),
    responses(
        (status = 200, description = "Events without end, a frame as the data of each", body = Frame,
            content_type = "text/event-stream"),
        (status = 403, description = "Not a user"),
        (status = 410, description = "`epoch-changed`: a log was restored; read anew and begin without a cursor"),
        (status = 422, description = "Not a cursor of the caller's feed"),
        (status = 429, description = "`too-many-connections`: as many are open as one user may have")),
    security(("bearer" = [])))]
pub(crate) async fn stream(
    Shared(edge): Shared<Edge>,
    Extension(live): Extension<Live>,
    headers: HeaderMap,
    params: Result<OpenAsking<StreamParams>, Problem>,
) -> Answer {
    let ticket = params.as_ref().ok().and_then(|OpenAsking(params)| params.ticket.as_deref());
    let entry = Entry::of(&edge, &live, &headers, ticket).await?;
    // Who asks is found out first, whatever else is wrong.
    let Entry { user, token } = entry.ok_or_else(|| unauthenticated("sign in first"))?;
    let OpenAsking(params) = params?;
    let last = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or("?").to_owned());
    // A browser that never got an id sends an empty one, or none.
    let cursor = last.filter(|id| !id.is_empty()).or(params.cursor);
    let frames = live.connect(user, cursor.as_deref(), token)?;
    let events = stream::unfold(frames, |mut frames| async move {
        let frame = frames.recv().await?;
        Some((Ok::<_, Infallible>(as_event(&frame)), frames))
    });
    let beat = KeepAlive::new().interval(HEARTBEAT).text("");
    // nginx would hold events back otherwise.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), "no");
    // What is said to one is for nobody's cache; a stream says only `no-cache` by itself, which lets it be kept.
    let unkept = (CACHE_CONTROL, "no-store");
    Ok(([unbuffered, unkept], Sse::new(events).keep_alive(beat)).into_response())
}

fn as_event(frame: &Frame) -> Event {
    let event = Event::default().data(frame.to_json());
    match frame {
        Frame::Event { cursor, .. } | Frame::CaughtUp { cursor, .. } => event.id(cursor),
        Frame::Closed { retry_after_ms: Some(pause), .. } => event.retry(Duration::from_millis(*pause)),
        Frame::Closed { retry_after_ms: None, .. } | Frame::Passing { .. } => event,
    }
}
