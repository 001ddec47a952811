//! `GET /v1/stream`: live delivery as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::convert::Infallible;
use std::time::Duration;

use async_trait::async_trait;
use axum::Extension;
use axum::extract::State as Shared;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Request};
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use cqrs_core::Failure;
use cqrs_http::{Answer, Asking, Edge, Routes};
use futures::stream;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::{Frame, Live, StillSignedIn};

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
}

/// Asks the edge again, with the token that the connection came with.
struct ByToken {
    edge: Edge,
    parts: Parts,
}

impl ByToken {
    fn of(edge: Edge, headers: &HeaderMap) -> Self {
        // Nothing but the token: what else is known of the request was true when it came.
        let (mut parts, ()) = Request::new(()).into_parts();
        for token in headers.get_all(AUTHORIZATION) {
            parts.headers.append(AUTHORIZATION, token.clone());
        }
        Self { edge, parts }
    }
}

#[async_trait]
impl StillSignedIn for ByToken {
    async fn check(&self) -> bool {
        self.edge.signed_in(&self.parts).await.is_ok()
    }
}

/// Live events
///
/// Server-sent events. Each has a line of JSON, `{"cursor", "type", "at", "data"}`, and the cursor as its `id`; `data` of
/// a message is what its page shows. Without a cursor it begins now, with a `caught-up` that gives the first cursor.
/// Resumed, all missed events come first, each once, in order within their source (the part of the type before the dot),
/// then `caught-up`, then what is new. A message that was deleted meanwhile comes as what is left of it. The removal of
/// the caller is the last event of a conversation. A connection that the server ends says
/// `{"type": "closed", "code", "retryAfterMs"}` first: `too-slow`, `unavailable` and `stopping` lose nothing by resuming;
/// `signed-out` has no `retryAfterMs`. Comments keep the connection alive.
#[utoipa::path(get, path = "/v1/stream", tag = "live",
    params(StreamParams, ("Last-Event-ID" = Option<String>, Header, description = "The last event's cursor")),
    responses(
        (status = 200, description = "Events, without end", body = String, content_type = "text/event-stream"),
        (status = 403, description = "Not a user"),
        (status = 410, description = "`epoch-changed`: a log was restored; read anew and begin without a cursor"),
        (status = 422, description = "Not a cursor of the caller's feed")),
    security(("bearer" = [])))]
pub(crate) async fn stream(
    Shared(edge): Shared<Edge>,
    Extension(live): Extension<Live>,
    headers: HeaderMap,
    ask: Asking<StreamParams>,
) -> Answer {
    let user = ask.cx.actor.user().ok_or_else(|| Failure::forbidden("only users have a feed"))?;
    let last = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or("?").to_owned());
    // A browser that never got an id sends an empty one, or none.
    let cursor = last.filter(|id| !id.is_empty()).or(ask.params.cursor);
    let still = ByToken::of(edge, &headers);
    let frames = live.connect(user, cursor.as_deref(), still)?;
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
        Frame::Event { cursor, .. } | Frame::CaughtUp { cursor } => event.id(cursor),
        Frame::Closed { retry_after_ms: Some(pause), .. } => event.retry(Duration::from_millis(*pause)),
        Frame::Closed { retry_after_ms: None, .. } => event,
    }
}

/// The routes of live delivery.
pub fn routes(live: Live) -> Routes {
    described().layer(Extension(live))
}

/// The routes without what delivers: for the API's description.
pub fn described() -> Routes {
    Routes::new().routes(routes!(stream))
}
